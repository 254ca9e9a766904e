/** Scopes of addresses and routes by the names that `ip` knows (include/uapi/linux/rtnetlink.h, enum rt_scope_t). */
const scopeNames: ReadonlyMap<number, string> = new Map([
  [0, "global"],
  [200, "site"],
  [253, "link"],
  [254, "host"],
  [255, "nowhere"],
]);

/** The name of a scope, or its number when it has none. */
export function scopeName(scope: number): string {
  return scopeNames.get(scope) ?? String(scope);
}

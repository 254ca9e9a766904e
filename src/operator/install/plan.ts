import { executableName, linkNames, ownFileName, programNames, savedName } from "./layout.ts";
import type { Present } from "./present.ts";

/** What has to be done in the plugins' directory, as data. */
export interface InstallPlan {
  /** Names that get the executable's content, in this order. */
  readonly copies: readonly string[];
  /** Names that get a link to the executable. */
  readonly links: readonly string[];
  /** Names whose present owner's program is kept beside it, to be put back by an uninstallation. */
  readonly saved: readonly string[];
  /** Those of them that nobody could execute, and why. */
  readonly broken: readonly { readonly name: string; readonly reason: string }[];
  /** Names that stay somebody else's. */
  readonly left: readonly string[];
}

/** Throws an Error for a name that nothing can be put at. */
export function planInstall(present: Present, replace: readonly string[]): InstallPlan {
  const unusable = programNames.find((name) => present.get(name)?.kind === "unusable");
  if (unusable !== undefined) throw new Error(`Cannot install "${unusable}": something that is no file has the name`);
  const foreign = namesOf(present, ["foreign"]);
  const broken = [...present].flatMap(([name, occupant]) =>
    occupant.kind === "broken" ? [{ name, reason: occupant.reason }] : [],
  );
  const left = linkNames.filter((name) => foreign.includes(name) && !replace.includes(name));
  const taken = programNames.filter((name) => !isCurrent(present, name) && !left.some((other) => other === name));
  return {
    copies: taken.filter((name) => name === executableName || name === ownFileName),
    links: taken.filter((name) => name !== executableName && name !== ownFileName),
    saved: taken.filter((name) => foreign.includes(name) || broken.some((other) => other.name === name)),
    broken,
    left,
  };
}

/** What an uninstallation does in the plugins' directory. */
export interface RemovalPlan {
  /** Names that are removed. */
  readonly removed: readonly string[];
  /** Names that get back what somebody else had there before. */
  readonly restored: readonly string[];
  /** Names of files of ours that are removed: what a killed installation left, and what nobody waits for any more. */
  readonly dropped: readonly string[];
  /** Names that have become somebody else's. */
  readonly left: readonly string[];
}

/** `hidden` are the names with a leading dot that are ours and there. The executable goes last: all links lead to it. */
export function planRemoval(present: Present, hidden: ReadonlySet<string>): RemovalPlan {
  const restored = namesOf(present, ["ours", "nothing"]).filter((name) => hidden.has(savedName(name)));
  const kept = new Set(restored.map(savedName));
  const ours = namesOf(present, ["ours"]).filter((name) => !restored.includes(name));
  return {
    removed: ours.toReversed(),
    restored,
    dropped: [...hidden].filter((name) => !kept.has(name)),
    left: namesOf(present, ["foreign", "broken"]),
  };
}

function isCurrent(present: Present, name: string): boolean {
  const occupant = present.get(name);
  return occupant?.kind === "ours" && occupant.current;
}

function namesOf(present: Present, kinds: readonly string[]): readonly string[] {
  return programNames.filter((name) => kinds.includes(present.get(name)?.kind ?? "nothing"));
}

import type { Json, JsonObject } from "../../base/decode.ts";
import type { CniGcRequest, CniRequest } from "../../cni/plugin.ts";

/** The delegate's configuration with members of our own as they came. */
export function withMembers(request: CniRequest | CniGcRequest, json: JsonObject, keys: readonly string[]): JsonObject {
  const members: Record<string, Json> = { ...json };
  for (const [key, value] of Object.entries(request.config.json)) if (keys.includes(key)) members[key] = value;
  return members;
}

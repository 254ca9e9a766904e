import { encodeText } from "../base/text.ts";
import { CniError, cniCode } from "./error.ts";

/** Environment variables, by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The CNI_… variables of one call, checked as far as its verb needs them; what is not set is "". */
export interface CniEnvironment {
  readonly command: string;
  readonly containerId: string;
  readonly netns: string;
  readonly interfaceName: string;
  readonly args: string;
  /** The directories of CNI_PATH. */
  readonly path: readonly string[];
  /** CNI_NETNS may be the plugin's own namespace. */
  readonly netnsOverride: boolean;
}

/** Longest interface name in bytes (include/uapi/linux/if.h: IFNAMSIZ, less the NUL byte). */
const longestName = 15;

const attachmentVerbs: readonly string[] = ["ADD", "CHECK", "DEL"];
const verbs: readonly string[] = [...attachmentVerbs, "GC", "STATUS"];

/**
 * Reads and checks the environment, in the reference's order (cni, pkg/skel): a bad value is told before missing ones
 * that come later, all missing ones are told together. Throws a CniError, code 4.
 */
export function readEnvironment(variables: Environment): CniEnvironment {
  const command = variables["CNI_COMMAND"] ?? "";
  const missing: string[] = [];
  function take(name: string, needed: boolean, check?: (value: string) => void): string {
    const value = variables[name] ?? "";
    if (value === "" && needed) missing.push(name);
    else if (needed) check?.(value);
    return value;
  }
  const attachment = attachmentVerbs.includes(command);
  take("CNI_COMMAND", true);
  const containerId = take("CNI_CONTAINERID", attachment, checkContainerId);
  const netns = take("CNI_NETNS", attachment && command !== "DEL");
  const interfaceName = take("CNI_IFNAME", attachment, checkInterfaceName);
  const args = take("CNI_ARGS", false);
  const path = take("CNI_PATH", verbs.includes(command));
  if (missing.length > 0) throw environmentError(`required env variables [${missing.join(",")}] missing`);
  const netnsOverride = ["1", "true"].includes((variables["CNI_NETNS_OVERRIDE"] ?? "").toLowerCase());
  return {
    command,
    containerId,
    netns,
    interfaceName,
    args,
    path: path === "" ? [] : path.split(":"),
    netnsOverride,
  };
}

/** True for what may be a container's id or a network's name. */
export function isCniName(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (!isAlphanumeric(text.charCodeAt(index)) && (index === 0 || !"_.-".includes(text.charAt(index)))) return false;
  }
  return text !== "";
}

function isAlphanumeric(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}

function checkContainerId(id: string): void {
  if (!isCniName(id)) throw environmentError("invalid characters in containerID", id);
}

function checkInterfaceName(name: string): void {
  if (name.length > longestName || encodeText(name).length > longestName) {
    throw environmentError("interface name is too long", "interface name should be less than 16 characters");
  }
  if (name === "." || name === "..") throw environmentError("interface name is . or ..");
  if (name.includes("/") || name.includes(":") || hasWhiteSpace(name)) {
    throw environmentError("interface name contains / or : or whitespace characters");
  }
}

/** White space beyond ASCII is left to Unicode's tables, which cost more than all the rest of the environment. */
function hasWhiteSpace(name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const code = name.charCodeAt(index);
    if (code <= 0x20 || code > 0x7e) return /\p{White_Space}/u.test(name);
  }
  return false;
}

function environmentError(message: string, details?: string): CniError {
  return new CniError(cniCode.invalidEnvironment, message, details);
}

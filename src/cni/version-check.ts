import { CniError, cniCode } from "./error.ts";
import { type CniVersion, cniVersions, isCniVersion, newestVersion } from "./version.ts";

/** Verbs that a configuration must be new enough for. */
export type LaterVerb = "CHECK" | "GC" | "STATUS";

const firstVersions: Readonly<Record<LaterVerb, CniVersion>> = { CHECK: "0.4.0", GC: "1.1.0", STATUS: "1.1.0" };

/** The version of a configuration; it has to be one of the list to the letter. Throws a CniError, code 1. */
export function checkVersion(text: string): CniVersion {
  if (isCniVersion(text)) return text;
  const supported = cniVersions.map((version) => `"${version}"`).join(" ");
  const details = `config is "${text}", plugin supports [${supported}]`;
  throw new CniError(cniCode.incompatibleVersion, "incompatible CNI versions", details);
}

/**
 * Checks that a configuration's version has the verb. Throws a CniError: code 6 for a text that is no version, code 1
 * for one too old for the verb or newer than all that is known.
 */
export function checkVerbVersion(verb: LaterVerb, text: string): void {
  const numbers = parseVersion(text);
  if (compareNumbers(numbers, parseVersion(firstVersions[verb])) < 0) {
    throw new CniError(cniCode.incompatibleVersion, `config version does not allow ${verb}`);
  }
  if (compareNumbers(numbers, parseVersion(newestVersion)) > 0) {
    throw new CniError(cniCode.incompatibleVersion, `plugin version does not allow ${verb}`);
  }
}

/** Major, minor and micro; parts that are left out count as 0 (cni, pkg/version: ParseVersion). */
function parseVersion(text: string): readonly number[] {
  const parts = text.split(".");
  if (parts.length > 3) throw new CniError(cniCode.decodingFailure, `invalid version "${text}": too many parts`);
  return ["major", "minor", "micro"].map((name, index) => {
    const part = parts[index] ?? "0";
    if (!/^[+-]?\d+$/.test(part)) {
      throw new CniError(cniCode.decodingFailure, `failed to convert ${name} version part "${part}"`);
    }
    return Number(part);
  });
}

function compareNumbers(left: readonly number[], right: readonly number[]): number {
  for (const [index, number] of left.entries()) {
    const difference = number - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Every version of the CNI specification there is, oldest first; all are spoken. */
export const cniVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

/** A version of the CNI specification. */
export type CniVersion = (typeof cniVersions)[number];

/** The version that VERSION and errors without a configuration are told in. */
export const newestVersion: CniVersion = "1.1.0";

/** The answer to VERSION, the same for every plugin. */
export const versionAnswer: string = JSON.stringify({ cniVersion: newestVersion, supportedVersions: cniVersions });

export function isCniVersion(text: string): text is CniVersion {
  for (const version of cniVersions) if (version === text) return true;
  return false;
}

/** True when `version` is `minimum` or a later one. */
export function isAtLeast(version: CniVersion, minimum: CniVersion): boolean {
  return cniVersions.indexOf(version) >= cniVersions.indexOf(minimum);
}

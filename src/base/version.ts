declare const TARTAN_VERSION: string | undefined;
declare const TARTAN_COMMIT: string | undefined;

/** The release, as package.json has it; build.ts puts it in. */
export const version: string = typeof TARTAN_VERSION === "string" ? TARTAN_VERSION : "0.0.0-unbuilt";

/** The commit the executable was built from, with `-dirty` behind it when the tree had changes. */
export const commit: string = typeof TARTAN_COMMIT === "string" ? TARTAN_COMMIT : "unknown";

/** Both on one line, for `version` and the daemon's first log line. No build date: a commit gives the same bytes always. */
export const versionLine: string = `tartan ${version} (${commit})`;

/** True in the executable, false where the source is run as it is. */
export const isCompiled: boolean = typeof TARTAN_VERSION === "string";

/** What stands under a name in a directory; for programs that a person runs, since node:fs costs a plugin time. */
import { accessSync, constants, lstatSync, readlinkSync, statSync } from "node:fs";

/** A name of a directory, not what a link leads to. */
export type Entry =
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "file"; readonly size: number; readonly inode: string }
  | { readonly kind: "other" };

/** What has the name; undefined when nothing has. Throws the system's error for any other failure. */
export function findEntry(path: string): Entry | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isSymbolicLink()) return { kind: "link", target: readlinkSync(path) };
  return stat.isFile() ? { kind: "file", size: stat.size, inode: `${stat.dev}:${stat.ino}` } : { kind: "other" };
}

/** True for a file, also one behind links, that this process may execute. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

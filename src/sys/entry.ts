/** What stands under a name in a directory; for programs that a person runs, since node:fs costs a plugin time. */
import { accessSync, constants, existsSync, lstatSync, readlinkSync, statSync } from "node:fs";
import { dirname } from "node:path";

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

/** Why files cannot be made in a directory, or it cannot be made itself, in words; undefined when they can. */
export function findDirectoryFault(path: string): string | undefined {
  let there = path;
  while (!existsSync(there)) there = dirname(there);
  try {
    if (!statSync(there).isDirectory()) return `${there} is no directory`;
    accessSync(there, constants.W_OK);
    return undefined;
  } catch (error) {
    return `${there} cannot be written to (${error instanceof Error && "code" in error ? String(error.code) : String(error)})`;
  }
}

import { endHolds, holdSame } from "../../sys/copy.ts";
import { findEntry } from "../../sys/entry.ts";
import { executableName, ownFileName, programNames } from "./layout.ts";
import { findTarget, type NodeView } from "./target.ts";

/** What stands under one of the names that the installer puts. */
type Occupant =
  | { readonly kind: "nothing" }
  /** Put here by us; `current` when it is what this executable would put. */
  | { readonly kind: "ours"; readonly current: boolean }
  /** Somebody else's program. */
  | { readonly kind: "foreign" }
  /** Nothing that anybody could execute, and why. */
  | { readonly kind: "broken"; readonly reason: string }
  /** A directory, a device: nothing that a program could take the place of. */
  | { readonly kind: "unusable" };

/** What stands under each name. */
export type Present = ReadonlyMap<string, Occupant>;

/** Any release of the executable is larger than this, and other plugins are much smaller. */
const smallestExecutable = 32 * 1024 * 1024;

/** Bun's name for the entry in its file system inside the executable (build.ts, --outfile), which lies near its end. */
const mark = "/$bunfs/root/tartan";
const markedLength = 1024 * 1024;

/** Looks at the plugins' directory; `executable` is what would be installed. */
export function readPresent(view: NodeView, executable: string): Present {
  return new Map(programNames.map((name) => [name, occupantOf(name, view, executable)]));
}

/** True for a file that is this executable in any release. */
function isOurExecutable(path: string): boolean {
  const entry = findEntry(path);
  return entry?.kind === "file" && entry.size >= smallestExecutable && endHolds(path, mark, markedLength);
}

function occupantOf(name: string, view: NodeView, executable: string): Occupant {
  const directory = view.binDirectory;
  const path = `${directory}/${name}`;
  const entry = findEntry(path);
  if (entry === undefined) return { kind: "nothing" };
  if (entry.kind === "other") return { kind: "unusable" };
  const isCopy = name === executableName || name === ownFileName;
  if (entry.kind === "link") {
    if (entry.target !== executableName && entry.target !== `${directory}/${executableName}`)
      return othersOf(name, view);
    return { kind: "ours", current: !isCopy && entry.target === executableName };
  }
  if (!isOurExecutable(path)) return othersOf(name, view);
  // What is one file with the executable would change with it, and the executable with it.
  const shared = name === ownFileName && isSameFile(entry.inode, `${directory}/${executableName}`);
  return { kind: "ours", current: isCopy && !shared && holdSame(path, executable) };
}

function othersOf(name: string, view: NodeView): Occupant {
  const target = findTarget(name, view);
  return target.kind === "broken" ? target : { kind: "foreign" };
}

function isSameFile(inode: string, path: string): boolean {
  const entry = findEntry(path);
  return entry?.kind === "file" && entry.inode === inode;
}

/** Whether what has a plugin's name can be executed on the node, from where the installer sees it. */
import { type Entry, findEntry, isExecutable } from "../../sys/entry.ts";

/** How much of the node the installer sees. */
export interface NodeView {
  /** The plugins' directory, the same path here and on the node; without a slash at its end. */
  readonly binDirectory: string;
  /** Where the node's root, or only some of its directories, is seen; undefined when none of it is. */
  readonly hostRoot: string | undefined;
}

/** What a name leads to; `broken` is what nothing can execute, with the reason. */
export type Target =
  | { readonly kind: "program" | "unseen" | "nothing" }
  | { readonly kind: "broken"; readonly reason: string };

/** As the kernel's limit (path_resolution(7), MAXSYMLINKS). */
const mostLinks = 40;

/**
 * Follows a name in the plugins' directory. A link that leads out of it is followed where the node is seen there: an
 * init container has only that directory, in which a sound link dangles.
 */
export function findTarget(name: string, view: NodeView): Target {
  const path = `${view.binDirectory}/${name}`;
  const entry = findEntry(path);
  if (entry === undefined) return { kind: "nothing" };
  if (isExecutable(path)) return { kind: "program" };
  if (entry.kind !== "link") return broken(entry.kind === "file" ? "is not executable" : "is no file");
  return followLink(path, entry.target, view);
}

function followLink(path: string, first: string, view: NodeView): Target {
  const place = path.split("/").filter((part) => part !== "");
  let at: readonly string[] = place.slice(0, -1);
  const pending = [...parts(first)];
  if (first.startsWith("/")) at = [];
  for (let links = 1; pending.length > 0;) {
    const part = pending.shift() ?? "";
    if (part === "..") {
      at = at.slice(0, -1);
      continue;
    }
    const next = [...at, part];
    const seen = placeSeen(next, view);
    if (seen === undefined) return { kind: "unseen" };
    const entry: Entry | undefined = findEntry(seen);
    if (entry === undefined) return broken(`leads to /${[...next, ...pending].join("/")}, which is not there`);
    if (entry.kind !== "link") {
      at = next;
      continue;
    }
    if (++links > mostLinks) return broken("is one of a loop of links");
    if (entry.target.startsWith("/")) at = [];
    pending.unshift(...parts(entry.target));
  }
  const end = placeSeen(at, view);
  if (end === undefined) return { kind: "unseen" };
  if (isExecutable(end)) return { kind: "program" };
  return broken(
    `leads to /${at.join("/")}, which is ${findEntry(end)?.kind === "file" ? "not executable" : "no file"}`,
  );
}

/** Where a path of the node is seen; undefined where it is not. The way to the plugins' directory counts as directories. */
function placeSeen(path: readonly string[], { binDirectory, hostRoot }: NodeView): string | undefined {
  const plain = `/${path.join("/")}`;
  if (`${binDirectory}/`.startsWith(`${plain === "/" ? "" : plain}/`)) return `${binDirectory}/.`;
  if (plain.startsWith(`${binDirectory}/`)) return plain;
  if (hostRoot === undefined) return undefined;
  const root = hostRoot.replace(/\/+$/, "");
  // What is not mounted there may be on the node all the same.
  return ["etc", path[0] ?? ""].some((top) => findEntry(`${root}/${top}`) !== undefined)
    ? `${root}${plain}`
    : undefined;
}

function parts(target: string): readonly string[] {
  return target.split("/").filter((part) => part !== "" && part !== ".");
}

function broken(reason: string): Target {
  return { kind: "broken", reason };
}

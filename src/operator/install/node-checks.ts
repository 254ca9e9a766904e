/**
 * What the executable needs of a node and can look for itself. Two needs are told before this: without /proc Bun does not
 * start, and where memory must not be writable and executable src/main.ts says so.
 */
import { release } from "node:os";
import { findEntry } from "../../sys/entry.ts";
import { findText } from "../../sys/file.ts";

/** What can be seen of a node. */
export interface NodeFacts {
  /** The kernel's release, like 6.1.0-18-amd64. */
  readonly kernel: string;
  /** The node's C library. */
  readonly loader: LoaderFact;
}

/** Whether glibc's loader is on the node: `unseen` when not enough of the node can be looked at. */
type LoaderFact =
  | { readonly kind: "found" | "unasked" }
  | { readonly kind: "missing" | "unseen"; readonly path: string; readonly system: string };

/** What is missing, and what may be: each in a sentence. */
export interface NodeFaults {
  readonly faults: readonly string[];
  readonly doubts: readonly string[];
}

const oldestKernel = { major: 5, minor: 4 };

/** Where programs name glibc's loader (the ABI of each architecture), and where the file lies when /lib is a link. */
const loader =
  process.arch === "arm64"
    ? { path: "/lib/ld-linux-aarch64.so.1", directories: ["usr/lib", "usr/lib64", "usr/lib/aarch64-linux-gnu"] }
    : { path: "/lib64/ld-linux-x86-64.so.2", directories: ["usr/lib64", "usr/lib", "usr/lib/x86_64-linux-gnu"] };

/** Looks at this node; `hostRoot` is where its root, or only its usr, is seen, undefined when neither is. */
export function readNodeFacts(hostRoot: string | undefined): NodeFacts {
  return {
    kernel: release(),
    loader: hostRoot === undefined ? { kind: "unasked" } : findLoader(hostRoot.replace(/\/+$/, "")),
  };
}

/** What such a node lacks. */
export function nodeFaults({ kernel, loader: library }: NodeFacts): NodeFaults {
  const faults: string[] = [];
  const doubts: string[] = [];
  const { major, minor } = oldestKernel;
  const [, first = "0", second = "0"] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  if (Number(first) < major || (Number(first) === major && Number(second) < minor)) {
    faults.push(`the kernel is ${kernel}, wanted Linux ${major}.${minor} or newer`);
  }
  if (library.kind === "missing" || library.kind === "unseen") {
    const text = `the node (${library.system}) has no ${library.path}: the plugins need glibc 2.17 or newer with its loader`;
    if (library.kind === "missing") faults.push(text);
    else doubts.push(`${text}; not all of the node is seen here, and it may be elsewhere`);
  }
  return { faults, doubts };
}

/** Links inside the node's root lead to places in that root, so that only the places themselves are looked at. */
function findLoader(root: string): LoaderFact {
  const name = loader.path.slice(loader.path.lastIndexOf("/") + 1);
  const places = [loader.path.slice(1), ...loader.directories.map((directory) => `${directory}/${name}`)];
  if (places.some((place) => findEntry(`${root}/${place}`) !== undefined)) return { kind: "found" };
  const whole = findEntry(`${root}/etc`) !== undefined;
  return { kind: whole ? "missing" : "unseen", path: loader.path, system: systemName(root) };
}

function systemName(root: string): string {
  const text = findText(`${root}/usr/lib/os-release`) ?? findText(`${root}/etc/os-release`) ?? "";
  return /^PRETTY_NAME="?(.*?)"?$/m.exec(text)?.[1] ?? "of unknown kind";
}

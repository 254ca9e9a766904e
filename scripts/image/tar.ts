import { pack } from "tar-stream";
import { collectBytes } from "./collect.ts";

/** One entry of an archive; paths are relative, without a dot in front. */
export type TarEntry =
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly content: Uint8Array }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/**
 * A tar archive of these entries and the directories they lie in: root's, all of the same age, so that the same entries
 * make the same bytes.
 */
export async function writeTar(entries: readonly TarEntry[]): Promise<Uint8Array> {
  const archive = pack();
  const common = { uid: 0, gid: 0, mtime: new Date(0) };
  const made = new Set<string>();
  for (const entry of entries) {
    for (const directory of directoriesAbove(entry.path)) {
      if (made.has(directory)) continue;
      made.add(directory);
      archive.entry({ ...common, name: `${directory}/`, type: "directory", mode: 0o755 });
    }
    if (entry.kind === "link") {
      archive.entry({ ...common, name: entry.path, type: "symlink", linkname: entry.target, mode: 0o777 });
    } else {
      archive.entry({ ...common, name: entry.path, type: "file", mode: entry.mode }, Buffer.from(entry.content));
    }
  }
  archive.finalize();
  return await collectBytes(archive);
}

function directoriesAbove(path: string): readonly string[] {
  const names = path.split("/").slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

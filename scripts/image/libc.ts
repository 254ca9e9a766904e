import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extract } from "tar-stream";
import type { Architecture } from "./architecture.ts";
import { collectBytes } from "./collect.ts";
import { runProgram } from "./run.ts";
import type { TarEntry } from "./tar.ts";

/** The C library of an image. */
export interface Libc {
  /** Debian's version of the package. */
  readonly version: string;
  readonly entries: readonly TarEntry[];
}

/** What Bun's executable is linked with beside the loader; test/e2e/image.test.ts compares it. */
const libraryNames: readonly string[] = ["libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"];

/**
 * Gets Debian's package libc6 for a machine through the apt configuration of this one, in directories of its own, so that
 * neither the machine's lists nor its architectures are changed, and takes the loader and the libraries out of it.
 */
export async function fetchLibc(architecture: Architecture, wanted: string | undefined): Promise<Libc> {
  const directory = mkdtempSync(`${tmpdir()}/tartan-libc-`);
  try {
    const apt = aptGet(architecture, directory);
    runProgram([...apt, "update"], directory);
    runProgram([...apt, "download", wanted === undefined ? "libc6" : `libc6=${wanted}`], directory);
    const [file = ""] = [...new Bun.Glob("libc6_*.deb").scanSync(directory)];
    const version = new TextDecoder().decode(runProgram(["dpkg-deb", "--field", file, "Version"], directory)).trim();
    const content = runProgram(["dpkg-deb", "--fsys-tarfile", file], directory);
    return { version, entries: await pickFiles(content, architecture) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function aptGet({ name }: Architecture, directory: string): readonly string[] {
  for (const part of ["lists/partial", "archives/partial"]) mkdirSync(`${directory}/${part}`, { recursive: true });
  writeFileSync(`${directory}/status`, "");
  const settings = [
    `Dir::State=${directory}`,
    `Dir::State::lists=${directory}/lists`,
    `Dir::State::status=${directory}/status`,
    `Dir::Cache=${directory}`,
    `APT::Architecture=${name}`,
    `APT::Architectures=${name}`,
    // The user that apt would become cannot write to our directory.
    "APT::Sandbox::User=root",
    "Acquire::Retries=3",
    "Acquire::Languages=none",
  ];
  return ["apt-get", "--quiet=2", ...settings.flatMap((setting) => ["-o", setting])];
}

/** Packages have moved from /lib to /usr/lib: what counts is the file's own name, and where a program looks for it. */
async function pickFiles(content: Uint8Array, { loader, libraries }: Architecture): Promise<readonly TarEntry[]> {
  const wanted = new Map(libraryNames.map((name) => [name, `${libraries}/${name}`]));
  wanted.set(loader.slice(loader.lastIndexOf("/") + 1), loader);
  const entries: TarEntry[] = [];
  const archive = extract();
  archive.end(Buffer.from(content));
  for await (const entry of archive) {
    const { name, type } = entry.header;
    const path = wanted.get(name.slice(name.lastIndexOf("/") + 1));
    // The next entry comes only after this one has been read.
    const bytes = await collectBytes(entry);
    if (path === undefined || type !== "file") continue;
    entries.push({ kind: "file", path, mode: path === loader ? 0o755 : 0o644, content: bytes });
  }
  const missing = [...wanted.values()].filter((path) => !entries.some((entry) => entry.path === path));
  if (missing.length > 0) throw new Error(`Cannot make the image: libc6 has no ${missing.join(", ")}`);
  return entries.toSorted((one, other) => (one.path < other.path ? -1 : 1));
}

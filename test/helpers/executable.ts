import { symlink } from "node:fs/promises";
import { join, resolve } from "node:path";

import { createTemporaryDirectory } from "./temp.ts";
import type { TemporaryDirectory } from "./temp.ts";

/** The root of the repository. */
export const repositoryRoot: string = resolve(import.meta.dirname, "..", "..");

/** The built executable. */
export const executablePath: string = join(repositoryRoot, "dist", "tartan");

/** The names under which the executable is another program. */
export const programNames = ["flannel", "bridge", "host-local", "loopback", "portmap", "flanneld"] as const;

/** One of the names under which the executable is another program. */
export type ProgramName = (typeof programNames)[number];

/** A directory of programs such as CNI_PATH names, removed when it goes out of scope. */
export class ProgramDirectory implements AsyncDisposable {
  readonly #directory: TemporaryDirectory;

  constructor(directory: TemporaryDirectory) {
    this.#directory = directory;
  }

  /** The directory itself, for CNI_PATH. */
  get path(): string {
    return this.#directory.path;
  }

  /** The path of one program in it. */
  program(name: string): string {
    return this.#directory.join(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** A directory with one symbolic link for each name, to the file that shall run under it. */
export async function linkPrograms(targets: Readonly<Record<string, string>>): Promise<ProgramDirectory> {
  const directory = await createTemporaryDirectory();
  for (const [name, target] of Object.entries(targets)) await symlink(target, directory.join(name));
  return new ProgramDirectory(directory);
}

/** The built executable under the names of its programs. */
export function createExecutableDirectory(names: readonly ProgramName[] = programNames): Promise<ProgramDirectory> {
  return linkPrograms(Object.fromEntries(names.map((name) => [name, executablePath])));
}

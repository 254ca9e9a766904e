import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { runId } from "./run-id.ts";

/** Where the temporary directories of a run lie; the run's id and a dash follow. */
export const temporaryPrefix: string = join(tmpdir(), "tartan-");

/** A temporary directory that is removed with all it holds when it goes out of scope. */
export class TemporaryDirectory implements AsyncDisposable {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The absolute path of a name inside. */
  join(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  /** Writes a file inside, with the directories above it, and returns its path. */
  async write(name: string, text: string, mode = 0o644): Promise<string> {
    const path = this.join(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { mode });
    return path;
  }

  /** Makes a directory inside and returns its path. */
  async directory(name: string): Promise<string> {
    const path = this.join(name);
    await mkdir(path, { recursive: true });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** Makes a temporary directory that carries the run's id. */
export async function createTemporaryDirectory(): Promise<TemporaryDirectory> {
  return new TemporaryDirectory(await mkdtemp(`${temporaryPrefix}${runId()}-`));
}

import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import { DirectoryLeaseSource } from "../../src/sources/directory/directory-source.ts";
import type { LeaseSource } from "../../src/lease/lease.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "./temp.ts";
import type { LeaseStore } from "./lease-store.ts";

/** A directory of leases in a temporary directory of its own; nothing of it exists at first. */
export class DirectoryStore implements LeaseStore {
  readonly temporary: TemporaryDirectory;
  readonly path: string;

  constructor(temporary: TemporaryDirectory) {
    this.temporary = temporary;
    this.path = temporary.join("var/lib/leases");
  }

  open(report: (line: string) => void = ignore): LeaseSource {
    return new DirectoryLeaseSource(this.path, report);
  }

  writeConfig(text: string): Promise<void> {
    return write(`${this.path}/config`, text);
  }

  writeLease(key: string, text: string): Promise<void> {
    return write(this.pathOf(key), text);
  }

  async removeLease(key: string): Promise<void> {
    await rm(this.pathOf(key));
  }

  async readLease(key: string): Promise<string | undefined> {
    const file = Bun.file(this.pathOf(key));
    return (await file.exists()) ? (await file.text()).trimEnd() : undefined;
  }

  async keys(): Promise<readonly string[]> {
    const names = await readdir(`${this.path}/subnets`);
    return names.toSorted();
  }

  async hide(): Promise<void> {
    await rename(this.path, `${this.path}.away`);
  }

  async reveal(): Promise<void> {
    await rename(`${this.path}.away`, this.path);
  }

  pathOf(key: string): string {
    return `${this.path}/subnets/${key}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.temporary[Symbol.asyncDispose]();
  }
}

/** Makes a store of its own. */
export async function createDirectoryStore(): Promise<DirectoryStore> {
  return new DirectoryStore(await createTemporaryDirectory());
}

/** As a careful writer does it: a file whose name begins with a dot, then a rename. */
async function write(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true });
  const temporary = `${directory}/.being-written`;
  await writeFile(temporary, text);
  await rename(temporary, path);
}

function ignore(): void {
  // Nobody asked for the reports.
}

import { existsSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { join, relative } from "node:path";

import { describeKernel } from "./kernel.ts";
import type { TestNetns } from "./netns.ts";

/**
 * Everything there is on a host as sorted lines: the kernel's state, and the files below the directories with their
 * contents, named relative to `root`. The bridge and the allocator's memory of its last address outlive every pod, so a
 * test names what may stay.
 */
export async function listLeftovers(
  netns: TestNetns,
  root: string,
  directories: readonly string[],
): Promise<readonly string[]> {
  const kernel = await describeKernel(netns);
  // The MTU of a bridge follows its ports, so it changes when the last one goes.
  const lines = kernel.map((line) => line.replace(/(type bridge) mtu \d+/, "$1"));
  for (const directory of directories) lines.push(...(await listFiles(root, join(root, directory))));
  return lines.toSorted();
}

async function listFiles(root: string, directory: string): Promise<readonly string[]> {
  if (!existsSync(directory)) return [];
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const lines: string[] = [];
  for (const path of files) {
    const content = await readFile(path, "utf8");
    lines.push(`file ${relative(root, path)} ${JSON.stringify(content)}`);
  }
  return lines;
}

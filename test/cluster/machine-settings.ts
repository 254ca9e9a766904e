import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { lockFileWithin } from "../../src/sys/lock.ts";
import { randomHex } from "../helpers/run-id.ts";

/** Where the clusters that run side by side say that they are there. */
const directory = "/run/tartan-clusters";

/** Settings of the whole machine that kubelets change, and one that a cluster needs larger than its default. */
const settings = [
  "fs/inotify/max_user_instances",
  "fs/inotify/max_user_watches",
  "kernel/keys/root_maxbytes",
  "kernel/keys/root_maxkeys",
  "kernel/panic",
  "kernel/panic_on_oops",
  "vm/overcommit_memory",
  "vm/panic_on_oom",
] as const;

/** Every containerd and kubelet takes some; the default is 128 for the whole machine. */
const wantedInotifyInstances = 4096;

/**
 * Remembers the machine's settings before the first cluster changes them. Disposing puts them back when no other cluster
 * is left, also one that was killed: the first that comes after it still finds what it had remembered.
 */
export async function keepMachineSettings(): Promise<AsyncDisposable> {
  using _lock = await lockDirectory();
  const users = await liveUsers();
  const saved = join(directory, "saved.json");
  if (users.length === 0 && !existsSync(saved)) await writeFile(saved, JSON.stringify(await readSettings()));
  const own = join(directory, `pid-${process.pid}-${randomHex(4)}`);
  await writeFile(own, "");
  await writeSetting("fs/inotify/max_user_instances", String(wantedInotifyInstances));
  return { [Symbol.asyncDispose]: () => leave(own, saved) };
}

async function leave(own: string, saved: string): Promise<void> {
  using _lock = await lockDirectory();
  await rm(own, { force: true });
  if ((await liveUsers()).length > 0) return;
  const values = new Decoder(parseJson(await readFile(saved, "utf8")));
  for (const name of settings) {
    const value = values.field(name).string();
    if (value !== undefined) await writeSetting(name, value);
  }
  await rm(saved);
}

async function lockDirectory(): Promise<Disposable> {
  await mkdir(directory, { recursive: true });
  return lockFileWithin(join(directory, "lock"), 0o600, 10_000);
}

/** The processes that have a cluster; what a killed one left is removed. */
async function liveUsers(): Promise<readonly string[]> {
  const names = (await readdir(directory)).filter((name) => name.startsWith("pid-"));
  const dead = names.filter((name) => !existsSync(`/proc/${name.split("-")[1] ?? ""}`));
  for (const name of dead) await rm(join(directory, name), { force: true });
  return names.filter((name) => !dead.includes(name));
}

async function readSettings(): Promise<Readonly<Record<string, string>>> {
  const values: Record<string, string> = {};
  for (const name of settings) {
    const path = `/proc/sys/${name}`;
    if (existsSync(path)) values[name] = (await readFile(path, "utf8")).trim();
  }
  return values;
}

async function writeSetting(name: string, value: string): Promise<void> {
  await writeFile(`/proc/sys/${name}`, value);
}

import { readFile, readdir, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";

import { findCgroups } from "./cgroup.ts";
import { runCommand } from "./command.ts";
import { runIdVariable } from "./run-id.ts";
import { temporaryPrefix } from "./temp.ts";

/** What a run may leave, each as a line for people. */
export interface Leaks {
  readonly processes: ReadonlyMap<number, string>;
  readonly mounts: readonly string[];
  readonly namespaces: readonly string[];
  readonly directories: readonly string[];
  readonly cgroups: readonly string[];
  readonly devices: readonly string[];
}

/** The devices of this process's own namespace at one moment. */
export type DeviceSnapshot = ReadonlySet<string>;

/**
 * The devices that a plugin or a daemon of ours makes when it works in the wrong namespace, by the names that nothing
 * else gives. Veths of container engines come and go beside us, so they count only as ports of such a device.
 */
export async function listOwnDevices(): Promise<DeviceSnapshot> {
  if (Bun.which("ip") === null) return new Set();
  const { stdout } = await runCommand(["ip", "-o", "link", "show"]);
  const lines = stdout.split("\n").filter((line) => /^\d+: (?:cni\d|flannel)|master (?:cni\d|flannel)/.test(line));
  return new Set(lines.map((line) => /^\d+: ([^:]+):/.exec(line)?.[1] ?? line));
}

/** Everything that carries the run's id, and the devices that were not there before. */
export async function findLeaks(runId: string, devicesBefore: DeviceSnapshot): Promise<Leaks> {
  const devices = await listOwnDevices();
  return {
    processes: await findProcesses(runId),
    mounts: await findMounts(runId),
    namespaces: await listNames("/run/netns", `${runId}-`),
    directories: await listNames(dirname(temporaryPrefix), `${basename(temporaryPrefix)}${runId}-`),
    cgroups: await findCgroups(`${runId}-`),
    devices: [...devices].filter((name) => !devicesBefore.has(name)),
  };
}

/** The leaks as lines, none when nothing is left. */
export function leakLines(leaks: Leaks): readonly string[] {
  return [
    ...[...leaks.processes].map(([pid, command]) => `process ${pid}: ${command}`),
    ...leaks.mounts.map((path) => `mount ${path}`),
    ...leaks.namespaces.map((path) => `network namespace ${path}`),
    ...leaks.directories.map((path) => `directory ${path}`),
    ...leaks.cgroups.map((path) => `cgroup ${path}`),
    ...leaks.devices.map((name) => `device ${name} in the machine's own namespace`),
  ];
}

/** Removes what a run left, so that a failed run does not spoil the next one. Devices stay: they might be another's. */
export async function removeLeaks(leaks: Leaks): Promise<void> {
  for (const pid of leaks.processes.keys()) killQuietly(pid);
  for (const path of leaks.mounts.toReversed()) await runCommand(["umount", "-l", path], { exitCode: "any" });
  for (const path of leaks.namespaces) {
    await runCommand(["ip", "netns", "delete", basename(path)], { exitCode: "any" });
  }
  // A directory that holds a mount still is not removed: what is mounted may be anything.
  const mounts = await readQuietly("/proc/self/mountinfo");
  for (const path of leaks.directories) {
    if (!mounts.includes(` ${path}/`)) await rm(path, { recursive: true, force: true });
  }
  for (const path of leaks.cgroups) await runCommand(["rmdir", path], { exitCode: "any" });
}

/** Processes that have the run's id in their environment or on their command line, but for this one and those above. */
async function findProcesses(runId: string): Promise<ReadonlyMap<number, string>> {
  const spared = await ancestors(process.pid);
  const found = new Map<number, string>();
  for (const name of await listNames("/proc", "")) {
    const pid = Number(basename(name));
    if (!Number.isInteger(pid) || spared.has(pid)) continue;
    const command = await readQuietly(`/proc/${pid}/cmdline`);
    const environment = await readQuietly(`/proc/${pid}/environ`);
    // The empty command line is that of a zombie or a kernel thread.
    if (command === "") continue;
    const marked = environment.split("\0").includes(`${runIdVariable}=${runId}`) || command.includes(`${runId}-`);
    if (marked) found.set(pid, command.replaceAll("\0", " ").trim());
  }
  return found;
}

async function ancestors(pid: number): Promise<ReadonlySet<number>> {
  const found = new Set<number>();
  for (let current = pid; current > 0;) {
    found.add(current);
    const status = await readQuietly(`/proc/${current}/status`);
    current = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return found;
}

async function findMounts(runId: string): Promise<readonly string[]> {
  const text = await readQuietly("/proc/self/mountinfo");
  const points = text.split("\n").map((line) => line.split(" ")[4] ?? "");
  // A namespace's own mount is reported as the namespace.
  return points.filter((path) => path.includes(`${runId}-`) && !path.includes("/netns/"));
}

async function listNames(directory: string, prefix: string): Promise<readonly string[]> {
  try {
    const names = await readdir(directory);
    return names.filter((name) => name.startsWith(prefix)).map((name) => `${directory}/${name}`);
  } catch {
    return [];
  }
}

/** The text of a file of a process, which may end at any time. */
async function readQuietly(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return "";
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

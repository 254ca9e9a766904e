import { readFileSync } from "node:fs";

import { type BackgroundProcess, startProcess } from "./background.ts";
import { removeCgroups } from "./cgroup.ts";
import { type CommandOptions, type CommandResult, runCommand } from "./command.ts";
import { debianRoot } from "./debian-root.ts";
import { uniqueName } from "./run-id.ts";

/**
 * Starts the machine in a cgroup of its own, which systemd-nspawn would otherwise make at the root of the hierarchies, and
 * with its notes in a directory of its own.
 */
const start = `
set -eu
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
  if [ -e "$hierarchy/cgroup.procs" ]; then
    mkdir -p "$hierarchy/$1"
    echo $$ > "$hierarchy/$1/cgroup.procs"
  fi
done
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
shift
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --volatile=overlay --console=pipe --boot "$@"
`;

/** A small Debian that runs under a systemd of its own, with a network of its own; what it writes goes with it. */
export class SystemdMachine implements AsyncDisposable {
  readonly #name: string;
  readonly #outer: BackgroundProcess;
  readonly #first: number;

  constructor(name: string, outer: BackgroundProcess, first: number) {
    this.#name = name;
    this.#outer = outer;
    this.#first = first;
  }

  /** Runs a program of the machine. */
  run(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const inside = ["nsenter", "--target", String(this.#first), "--all", ...command];
    return runCommand(inside, options);
  }

  /** Runs a shell script in the machine; its words are `$1` and so on. */
  shell(script: string, words: readonly string[] = [], options: CommandOptions = {}): Promise<CommandResult> {
    return this.run(["sh", "-c", script, "sh", ...words], options);
  }

  /** Runs one `ip` command, this machine's program in the other's network. */
  ip(...words: readonly string[]): Promise<CommandResult> {
    return runCommand(["nsenter", "--target", String(this.#first), "--net", "ip", ...words]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await runCommand(["kill", "-KILL", String(this.#first)], { exitCode: "any" });
    await this.#outer[Symbol.asyncDispose]();
    await removeCgroups(this.#name);
  }
}

/** Starts a machine; `shown` are directories of ours that it sees, read-only, by their paths in it. */
export async function startMachine(shown: Readonly<Record<string, string>>): Promise<SystemdMachine> {
  const name = uniqueName();
  const binds = Object.entries(shown).map(([path, source]) => `--bind-ro=${source}:${path}`);
  const outer = startProcess([
    "unshare",
    "--mount",
    "sh",
    "-c",
    start,
    "sh",
    name,
    "--directory",
    debianRoot(),
    ...binds,
  ]);
  let first: number | undefined;
  try {
    await outer.waitUntil("systemd is there", () => (first = findSystemd(outer.pid)) !== undefined);
    if (first === undefined) throw new Error("Cannot find the machine's first process");
    const machine = new SystemdMachine(name, outer, first);
    await outer.waitUntil(
      "the machine runs",
      async () => {
        const { stdout } = await machine.run(["systemctl", "is-system-running"], { exitCode: "any" });
        return ["running", "degraded"].includes(stdout.trim());
      },
      30_000,
    );
    return machine;
  } catch (error) {
    if (first !== undefined) await runCommand(["kill", "-KILL", String(first)], { exitCode: "any" });
    await outer[Symbol.asyncDispose]();
    await removeCgroups(name);
    throw error;
  }
}

/** The first process below this one that is systemd. */
function findSystemd(pid: number): number | undefined {
  for (const child of childrenOf(pid)) {
    if (readName(child) === "systemd") return child;
    const found = findSystemd(child);
    if (found !== undefined) return found;
  }
  return undefined;
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .trim()
      .split(" ")
      .filter((word) => word !== "")
      .map(Number);
  } catch {
    // It has ended.
    return [];
  }
}

function readName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

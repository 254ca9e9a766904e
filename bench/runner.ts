/** Starts programs the way a container runtime does, posix_spawn and wait4, and measures them at little cost of its own. */
import { dlopen, ptr } from "bun:ffi";
import { closeSync, openSync } from "node:fs";

const c = dlopen("libc.so.6", {
  posix_spawn: { args: ["ptr", "cstring", "ptr", "ptr", "ptr", "ptr"], returns: "int" },
  posix_spawn_file_actions_init: { args: ["ptr"], returns: "int" },
  posix_spawn_file_actions_destroy: { args: ["ptr"], returns: "int" },
  posix_spawn_file_actions_addopen: { args: ["ptr", "int", "cstring", "int", "u32"], returns: "int" },
  setns: { args: ["int", "int"], returns: "int" },
  strerror: { args: ["int"], returns: "cstring" },
  wait4: { args: ["int", "ptr", "int", "ptr"], returns: "int" },
}).symbols;

/** A program to start. */
export interface Program {
  readonly path: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** File to read standard input from; /dev/null when left out. */
  readonly stdin?: string;
  /** File to write standard output to; /dev/null when left out. */
  readonly stdout?: string;
}

/** What one run took. */
export interface Run {
  readonly milliseconds: number;
  /** User and system time of the program and the children it waited for. */
  readonly cpuMilliseconds: number;
  readonly exitCode: number;
}

/** Runs a program to its end. */
export function runProgram(program: Program): Run {
  const start = Bun.nanoseconds();
  const pid = startProgram(program);
  const ended = waitForOne(pid);
  const milliseconds = (Bun.nanoseconds() - start) / 1e6;
  return { milliseconds, cpuMilliseconds: ended.cpuMilliseconds, exitCode: ended.exitCode };
}

/** Starts a program and returns its process number. */
export function startProgram(program: Program): number {
  const argv = cStrings(program.argv);
  const environment = cStrings(Object.entries(program.environment).map(([name, value]) => `${name}=${value}`));
  const actions = new Uint8Array(new ArrayBuffer(256));
  c.posix_spawn_file_actions_init(actions);
  c.posix_spawn_file_actions_addopen(actions, 0, program.stdin ?? "/dev/null", 0, 0);
  c.posix_spawn_file_actions_addopen(actions, 1, program.stdout ?? "/dev/null", 0o1101, 0o600);
  c.posix_spawn_file_actions_addopen(actions, 2, "/dev/null", 1, 0);
  const pid = new Int32Array(new ArrayBuffer(4));
  const error = c.posix_spawn(pid, program.path, actions, null, argv.pointers, environment.pointers);
  c.posix_spawn_file_actions_destroy(actions);
  if (error !== 0) throw new Error(`Cannot start ${program.path}: ${String(c.strerror(error))}`);
  return pid[0] ?? 0;
}

/** A process that has ended. */
export interface Ended {
  readonly pid: number;
  readonly cpuMilliseconds: number;
  readonly exitCode: number;
}

/** Waits for one child, any when `pid` is -1. */
export function waitForOne(pid: number): Ended {
  const status = new Int32Array(new ArrayBuffer(4));
  const usage = new BigInt64Array(new ArrayBuffer(256));
  const ended = c.wait4(pid, status, 0, usage);
  // struct rusage: ru_utime and ru_stime as seconds and microseconds. Its ru_maxrss would be this process's own, which
  // the kernel counts for a child that shared our memory until it was executed.
  const seconds = Number((usage[0] ?? 0n) + (usage[2] ?? 0n));
  const microseconds = Number((usage[1] ?? 0n) + (usage[3] ?? 0n));
  return { pid: ended, cpuMilliseconds: seconds * 1000 + microseconds / 1000, exitCode: (status[0] ?? 0) >> 8 };
}

/** Moves this process, and so the programs it starts from now on, into a network namespace. */
export function enterNetns(path: string): void {
  const fd = openSync(path, "r");
  try {
    if (c.setns(fd, 0x40000000) !== 0) throw new Error(`Cannot enter ${path}`);
  } finally {
    closeSync(fd);
  }
}

/** The value below which `share` of the sorted values lie: 0.5 for the median. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Runs programs in turn, so that what disturbs the machine disturbs all alike; returns each one's runs. */
export function alternate(programs: Readonly<Record<string, () => Run>>, rounds: number): Map<string, Run[]> {
  const runs = new Map<string, Run[]>(Object.keys(programs).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const names = Object.keys(programs);
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const run = programs[name]?.();
      if (run !== undefined) runs.get(name)?.push(run);
    }
  }
  return runs;
}

/** An array of C strings that ends with a null pointer; `keep` holds the memory as long as the array is used. */
function cStrings(texts: readonly string[]): {
  readonly pointers: BigUint64Array;
  readonly keep: readonly Uint8Array[];
} {
  const keep = texts.map((text) => {
    const bytes = new TextEncoder().encode(text);
    const buffer = new Uint8Array(new ArrayBuffer(bytes.length + 1));
    buffer.set(bytes);
    return buffer;
  });
  const pointers = new BigUint64Array(new ArrayBuffer((texts.length + 1) * 8));
  for (const [index, buffer] of keep.entries()) pointers[index] = BigInt(ptr(buffer));
  return { pointers, keep };
}

/**
 * The floor below which no ADD or DEL of ours can be: the start of an executable that does nothing, and the same ADD or DEL
 * in a process whose code is warm, which is the kernel's time for what they ask of it and little else. Beside them, in
 * alternation, upstream's chain and ours.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { compileOptions } from "../build.ts";
import { dispatch } from "../src/cni/dispatch.ts";
import { builtInPlugins } from "../src/plugins/main.ts";
import { chainNames, makeHosts, type PluginDirectories } from "./cni-chains.ts";
import { type BenchHost, type ChainRun, makeNetns, type Pod, type Verb } from "./cni-host.ts";
import type { Setting } from "./cni-settings.ts";
import { alternate, quantile, type Run, runProgram, startProgram, waitForOne } from "./runner.ts";

const rounds = 100;

/** Median milliseconds: `cpu` is user and system time, of all processes. */
export interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

/** What was measured side by side. */
export interface Floor {
  readonly start: Cost;
  /** Milliseconds of 100 such starts, 16 at a time. */
  readonly hundredStarts: number;
  readonly version: Cost;
  readonly warm: Readonly<Record<Verb, Cost>>;
  readonly ours: Readonly<Record<Verb, Cost>>;
  readonly upstream: Readonly<Record<Verb, Cost>>;
}

/** Measures the floor of a setting with as many pods of each kind on a host as there are rounds. */
export function measureFloor(path: string, plugins: PluginDirectories, setting: Setting): Floor {
  mkdirSync(`${path}/pods`, { recursive: true });
  const empty = buildEmpty(plugins.ours);
  const hosts = makeHosts(`${path}/hosts`, plugins, setting);
  // A host of its own, so that each has the same number of pods.
  const warmHosts = makeHosts(`${path}/warm`, plugins, setting);
  const ours = workOf("ours", hosts.get(chainNames.a), path);
  const upstream = workOf("upstream", hosts.get(chainNames.upstream), path);
  const warm = workOf("warm", warmHosts.get(chainNames.a), path);
  const flannel = { path: `${plugins.ours}/flannel`, argv: ["flannel"], environment: { CNI_COMMAND: "VERSION" } };
  const costs = { ADD: new Map<string, Cost>(), DEL: new Map<string, Cost>() };
  for (const verb of ["ADD", "DEL"] as const) {
    const runs = alternate(
      {
        start: () => runProgram({ path: empty, argv: ["empty"], environment: {} }),
        version: () => runProgram(flannel),
        upstream: () => upstream(verb, (host, pod) => host.call(verb, pod)),
        ours: () => ours(verb, (host, pod) => host.call(verb, pod)),
        warm: () => warm(verb, (host, pod) => callWarm(host, verb, pod)),
      },
      rounds,
    );
    for (const [name, all] of runs) costs[verb].set(name, costOf(all));
  }
  function cost(name: string, verb: Verb): Cost {
    return costs[verb].get(name) ?? { wall: Number.NaN, cpu: Number.NaN };
  }
  function both(name: string): Record<Verb, Cost> {
    return { ADD: cost(name, "ADD"), DEL: cost(name, "DEL") };
  }
  return {
    start: cost("start", "ADD"),
    hundredStarts: quantile(
      Array.from({ length: 5 }, () => timeOfStarts(empty)),
      0.5,
    ),
    version: cost("version", "ADD"),
    warm: both("warm"),
    ours: both("ours"),
    upstream: both("upstream"),
  };
}

function costOf(runs: readonly Run[]): Cost {
  return {
    wall: quantile(
      runs.map((run) => run.milliseconds),
      0.5,
    ),
    cpu: quantile(
      runs.map((run) => run.cpuMilliseconds),
      0.5,
    ),
  };
}

function timeOfStarts(path: string): number {
  const begin = Bun.nanoseconds();
  let running = 0;
  for (let started = 0; started < 100; started++) {
    startProgram({ path, argv: ["empty"], environment: {} });
    if (++running < 16) continue;
    waitForOne(-1);
    running--;
  }
  for (; running > 0; running--) waitForOne(-1);
  return (Bun.nanoseconds() - begin) / 1e6;
}

type Call = (host: BenchHost, pod: Pod) => ChainRun;

/** Calls a host's pods one after the other, each once for each verb. */
function workOf(name: string, host: BenchHost | undefined, path: string): (verb: Verb, call: Call) => Run {
  if (host === undefined) throw new Error(`Cannot measure the floor: the chain of ${name} does not work`);
  const pods: Pod[] = Array.from({ length: rounds }, (_, number) => {
    return { containerId: `floor-${name}-${number}`, netns: makeNetns(`${path}/pods/${name}-${number}`), number };
  });
  const next = { ADD: 0, DEL: 0 };
  return (verb, call) => {
    const pod = pods[next[verb]++];
    if (pod === undefined) throw new Error("Cannot measure the floor: no pod is left");
    host.enter();
    return { ...call(host, pod), exitCode: 0 };
  };
}

/** ADD or DEL by the same code in this process, in which it has run before. */
function callWarm(host: BenchHost, verb: Verb, pod: Pod): ChainRun {
  const { environment, stdin = "" } = host.program(verb, 0, pod);
  const config = readFileSync(stdin, "utf8");
  let exitCode = 0;
  const cpu = process.cpuUsage();
  const start = Bun.nanoseconds();
  dispatch("flannel", builtInPlugins(), {
    environment,
    readStdin: () => config,
    writeStdout: (text) => {
      if (verb === "ADD") host.take(pod, text);
    },
    writeStderr: () => undefined,
    exit: (code) => {
      exitCode = code;
    },
  });
  const milliseconds = (Bun.nanoseconds() - start) / 1e6;
  const { user, system } = process.cpuUsage(cpu);
  if (exitCode !== 0) throw new Error(`Cannot measure a warm ${verb}: it ended with ${exitCode}`);
  return { milliseconds, cpuMilliseconds: (user + system) / 1000 };
}

function buildEmpty(directory: string): string {
  writeFileSync(`${directory}/empty.ts`, "");
  const command = [process.execPath, "build", "empty.ts", ...compileOptions, "--outfile=empty"];
  const built = Bun.spawnSync(command, { cwd: directory });
  if (built.exitCode !== 0) throw new Error(`Cannot build the empty executable: ${built.stderr.toString()}`);
  Bun.spawnSync(["cp", "empty", "nothing"], { cwd: directory });
  return `${directory}/nothing`;
}

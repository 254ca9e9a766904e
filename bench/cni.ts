/**
 * ADD and DEL of pods against upstream's chain (flannel → bridge → host-local, then portmap; Go builds) in alternation, in
 * one run: one pod at a time, 16 at a time, with 4,000 addresses taken; memory; and how far above the floor ADD stands.
 * Run by `npm run bench -- cni`. Needs root and the peers that `npm test` installs.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { errorText } from "../src/base/error.ts";
import { peerProgram } from "../test/helpers/peers.ts";
import { upstreamPlugins } from "../test/helpers/upstream.ts";
import { burstRate } from "./cni-burst.ts";
import { takeAsOurs, takeAsUpstream } from "./cni-crowd.ts";
import { measureFloor } from "./cni-floor.ts";
import { BenchHost, type Chain, type ChainRun, flannelEntry, makeNetns, type Pod, type Verb } from "./cni-host.ts";
import { measureMemory } from "./cni-memory.ts";
import { quantile } from "./runner.ts";

const pods = 200;
const crowd = 4000;
const parallel = 16;
const names = ["flannel", "bridge", "host-local", "loopback", "portmap"];
/** Of upstream's, what is allowed: (a) our conflist, (b) the stock conflist with our executable in it. */
const goals: Readonly<Record<string, readonly [a: number, b: number | undefined]>> = {
  "ADD p50": [0.3, 0.55],
  "ADD p99": [0.5, 0.7],
  "DEL p50": [0.7, 0.9],
  "CPU per ADD + DEL": [0.35, 0.6],
  "time of 100 ADDs, 16 at a time": [1 / 3, 1 / 1.6],
  "ADD p50, 4,000 addresses taken": [0.15, undefined],
};

type Hosts = ReadonlyMap<string, BenchHost>;

const [given] = process.argv.slice(2);
if (given === undefined) isolate();
else measure(given);

/** The mounts that keep the namespaces go with a mount namespace of the run's own; then the directory can go. */
function isolate(): void {
  const made = mkdtempSync(`${tmpdir()}/tartan-bench-`);
  try {
    const child = Bun.spawnSync(["unshare", "--mount", "--net", process.execPath, import.meta.path, made], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    process.exitCode = child.exitCode;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

function measure(directory: string): void {
  console.log(machine());
  const plugins = new Map([
    ["upstream", copyPlugins(`${directory}/plugins-upstream`, upstreamPrograms())],
    ["ours", copyPlugins(`${directory}/plugins-ours`, ourPrograms())],
  ]);
  function hosts(label: string): Map<string, BenchHost> {
    return makeHosts(`${directory}/${label}`, plugins);
  }
  const rows = new Map<string, Map<string, number>>();
  noteOneByOne(rows, alternate(hosts("one"), `${directory}/one-pods`, { count: pods, atOnce: pods }));
  noteBursts(rows, hosts("burst"), `${directory}/burst-pods`);
  noteCrowd(rows, hosts("crowd"), `${directory}/crowd-pods`);
  printRatios(rows);
  measureMemory(hosts("memory"), `${directory}/memory-pods`);
  measureFloor(directory, `${directory}/plugins-ours`);
}

function machine(): string {
  const memory = /MemTotal:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  const [cpu] = cpus();
  const load = loadavg().map((value) => value.toFixed(1));
  return [
    `${cpus().length} × ${cpu?.model ?? "?"}, ${(Number(memory) / 2 ** 20).toFixed(0)} GiB, Linux ${release()}`,
    `load ${load.join(" ")}; ${pods} pods a row, in alternation, times of upstream's chain and ours\n`,
  ].join("\n");
}

function ourPrograms(): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [name, `${import.meta.dir}/../dist/tartan`]));
}

function upstreamPrograms(): Readonly<Record<string, string>> {
  return { ...upstreamPlugins, portmap: peerProgram("cni-plugins", "portmap") };
}

/** Fresh copies of all: how a file came into the page cache alone makes a difference of a fifth. */
function copyPlugins(path: string, programs: Readonly<Record<string, string>>): string {
  mkdirSync(path);
  const copies = new Map<string, string>();
  for (const [plugin, program] of Object.entries(programs)) {
    const first = copies.get(program);
    if (first === undefined) copyFileSync(program, `${path}/${plugin}`);
    else symlinkSync(first, `${path}/${plugin}`);
    copies.set(program, first ?? plugin);
  }
  return path;
}

/** The chains, each on a host of its own; without (b) as long as our portmap is not built. */
function makeHosts(directory: string, plugins: ReadonlyMap<string, string>): Map<string, BenchHost> {
  const hosts = new Map<string, BenchHost>();
  const portmap = { type: "portmap", capabilities: { portMappings: true } };
  function add(name: string, from: string, cniVersion: string, chained: boolean): void {
    const path = `${directory}-${name.replaceAll(/\W/g, "")}`;
    const entries = chained ? [flannelEntry(path), portmap] : [flannelEntry(path)];
    const chain: Chain = { name, cniVersion, plugins: plugins.get(from) ?? "", entries };
    const host = new BenchHost(path, chain, "10.244.0.1/20");
    const probe: Pod = { containerId: "probe", netns: makeNetns(`${path}/probe`) };
    host.enter();
    try {
      host.call("ADD", probe);
      host.call("DEL", probe);
      hosts.set(name, host);
    } catch (error) {
      console.log(`${name} is left out: ${errorText(error)}\n`);
    }
  }
  add("upstream", "upstream", "0.3.1", true);
  add("ours (a)", "ours", "1.0.0", false);
  add("ours (b)", "ours", "0.3.1", true);
  return hosts;
}

type Samples = ReadonlyMap<string, Readonly<Record<Verb, ChainRun[]>>>;

/** Pods to measure with, and how many of them are there at the same time. */
interface PodCount {
  readonly count: number;
  readonly atOnce: number;
}

/** Each pod on each host in turn: some are added, then these are deleted, and so on. */
function alternate(hosts: Hosts, podDirectory: string, { count, atOnce }: PodCount): Samples {
  const samples = new Map<string, Record<Verb, ChainRun[]>>();
  const all = new Map<string, Pod[]>();
  for (const name of hosts.keys()) {
    samples.set(name, { ADD: [], DEL: [] });
    all.set(name, makePods(name, podDirectory, count));
  }
  for (let start = 0; start < count; start += atOnce) {
    for (const verb of ["ADD", "DEL"] as const) {
      for (let index = start; index < start + atOnce; index++) {
        for (const [name, host] of index % 2 === 0 ? hosts : [...hosts].toReversed()) {
          const pod = all.get(name)?.[index];
          if (pod === undefined) continue;
          host.enter();
          samples.get(name)?.[verb].push(host.call(verb, pod));
        }
      }
    }
  }
  return samples;
}

function makePods(host: string, directory: string, count: number): Pod[] {
  mkdirSync(directory, { recursive: true });
  return Array.from({ length: count }, (_, index) => {
    const containerId = `${host.replaceAll(/\W/g, "")}-${index}`;
    return { containerId, netns: makeNetns(`${directory}/${containerId}`) };
  });
}

type Rows = Map<string, Map<string, number>>;

function note(rows: Rows, row: string, host: string, value: number): void {
  const values = rows.get(row) ?? new Map<string, number>();
  rows.set(row, values.set(host, value));
}

function noteOneByOne(rows: Rows, samples: Samples): void {
  console.log("one at a time                p50 ms   p99 ms   CPU ms");
  for (const verb of ["ADD", "DEL"] as const) {
    for (const [host, sample] of samples) {
      const times = sample[verb].map((run) => run.milliseconds);
      const values = [quantile(times, 0.5), quantile(times, 0.99), meanCpu(sample[verb])];
      for (const [place, name] of ["p50", "p99"].entries()) note(rows, `${verb} ${name}`, host, values[place] ?? 0);
      console.log(`${`${verb} ${host}`.padEnd(27)} ${values.map((value) => value.toFixed(2).padStart(6)).join("   ")}`);
    }
  }
  for (const [host, { ADD, DEL }] of samples) note(rows, "CPU per ADD + DEL", host, meanCpu(ADD) + meanCpu(DEL));
}

function meanCpu(runs: readonly ChainRun[]): number {
  return runs.reduce((sum, run) => sum + run.cpuMilliseconds, 0) / runs.length;
}

/** Three bursts of 100 on each host in turn; the median of them counts. */
function noteBursts(rows: Rows, hosts: Hosts, podDirectory: string): void {
  const rates = new Map<string, number[]>();
  for (const round of [0, 1, 2]) {
    for (const [name, host] of hosts) {
      const burst = makePods(`${name}-${round}`, podDirectory, 100);
      host.enter();
      const added = burstRate(host, "ADD", burst, parallel);
      burstRate(host, "DEL", burst, parallel);
      rates.set(name, [...(rates.get(name) ?? []), added]);
    }
  }
  console.log(`\n100 ADDs, ${parallel} at a time       ADDs a second`);
  for (const [name, values] of rates) {
    const rate = quantile(values, 0.5);
    note(rows, "time of 100 ADDs, 16 at a time", name, 1 / rate);
    console.log(`${name.padEnd(27)} ${rate.toFixed(0).padStart(6)}`);
  }
}

/** Each host's addresses are taken as its own plugins take them. */
function noteCrowd(rows: Rows, hosts: Hosts, podDirectory: string): void {
  for (const [name, host] of hosts) {
    if (name === "upstream") takeAsUpstream(host, crowd);
    else takeAsOurs(host, crowd);
  }
  console.log(`\nwith ${crowd.toLocaleString("en")} addresses taken    ADD p50 ms   p99 ms   DEL p50 ms`);
  for (const [name, { ADD, DEL }] of alternate(hosts, podDirectory, { count: 100, atOnce: 20 })) {
    const added = ADD.map((run) => run.milliseconds);
    const deleted = DEL.map((run) => run.milliseconds);
    note(rows, "ADD p50, 4,000 addresses taken", name, quantile(added, 0.5));
    const values = [quantile(added, 0.5), quantile(added, 0.99), quantile(deleted, 0.5)];
    console.log(`${name.padEnd(27)} ${values.map((value) => value.toFixed(2).padStart(10)).join(" ")}`);
  }
}

function printRatios(rows: Rows): void {
  console.log("\nof upstream's                      ours (a)      goal   ours (b)      goal");
  for (const [row, values] of rows) {
    const base = values.get("upstream") ?? Number.NaN;
    const [a, b] = goals[row] ?? [undefined, undefined];
    const cells = [ratio(values.get("ours (a)"), base), atMost(a), ratio(values.get("ours (b)"), base), atMost(b)];
    if (a !== undefined) console.log(`${row.padEnd(33)} ${cells.map((cell) => cell.padStart(9)).join(" ")}`);
  }
}

function ratio(value: number | undefined, base: number): string {
  return value === undefined ? "-" : `${(value / base).toFixed(2)} ×`;
}

function atMost(goal: number | undefined): string {
  return goal === undefined ? "-" : `≤ ${goal.toFixed(2)}`;
}

/** Runs one setting on the hosts of all chains in alternation, and keeps what each ADD and DEL took. */
import { mkdirSync } from "node:fs";
import { burstRate } from "./cni-burst.ts";
import type { Hosts } from "./cni-chains.ts";
import { type BenchHost, type ChainRun, makeNetns, type Pod, type Verb } from "./cni-host.ts";
import type { Measure, Setting } from "./cni-settings.ts";
import { quantile } from "./runner.ts";

/** What was measured of one chain. */
export interface Sample {
  readonly runs: Readonly<Record<Verb, ChainRun[]>>;
  /** Pods a second, of each burst. */
  readonly rates: Readonly<Record<Verb, number[]>>;
}

/** The samples by the name of their chain. */
export type Samples = ReadonlyMap<string, Sample>;

const verbs = ["ADD", "DEL"] as const;

/** Some pods are added on each host, then deleted, and so on, until every chain has had its pods. */
export function measureSetting(hosts: Hosts, podDirectory: string, setting: Setting): Samples {
  mkdirSync(podDirectory, { recursive: true });
  const samples = new Map<string, Sample>();
  for (const name of hosts.keys()) samples.set(name, { runs: { ADD: [], DEL: [] }, rates: { ADD: [], DEL: [] } });
  const { pods: total, podsAtOnce, parallel } = setting;
  for (let start = 0; start < total; start += podsAtOnce) {
    const round = { start, end: Math.min(total, start + podsAtOnce) };
    const pods = new Map([...hosts.keys()].map((name) => [name, makePods(name, podDirectory, round)]));
    for (const verb of verbs) {
      if (parallel === 1) runOneByOne(verb, hosts, pods, samples);
      else runBursts(verb, hosts, pods, { samples, parallel, backwards: (start / podsAtOnce) % 2 === 1 });
    }
  }
  return samples;
}

/** The value of a measure; undefined where the sample does not have it. */
export function valueOf(sample: Sample, measure: Measure): number | undefined {
  return measures[measure](sample);
}

const measures: Readonly<Record<Measure, (sample: Sample) => number | undefined>> = {
  "ADD p50": ({ runs }) => quantile(runs.ADD.map(milliseconds), 0.5),
  "ADD p99": ({ runs }) => quantile(runs.ADD.map(milliseconds), 0.99),
  "DEL p50": ({ runs }) => quantile(runs.DEL.map(milliseconds), 0.5),
  "DEL p99": ({ runs }) => quantile(runs.DEL.map(milliseconds), 0.99),
  "CPU of ADD + DEL": ({ runs }) => meanCpu(runs.ADD) + meanCpu(runs.DEL),
  "time of 100 ADDs": ({ rates }) => (rates.ADD.length === 0 ? undefined : 100_000 / quantile(rates.ADD, 0.5)),
};

/** The mean CPU time of runs, in milliseconds: it is spent, whatever was disturbed. */
export function meanCpu(runs: readonly ChainRun[]): number {
  return runs.reduce((sum, run) => sum + run.cpuMilliseconds, 0) / runs.length;
}

type PodsOf = ReadonlyMap<string, readonly Pod[]>;

function runOneByOne(verb: Verb, hosts: Hosts, pods: PodsOf, samples: Samples): void {
  const count = Math.max(...[...pods.values()].map((list) => list.length));
  for (let index = 0; index < count; index++) {
    for (const [name, host] of inTurn(hosts, index % 2 === 1)) {
      const pod = pods.get(name)?.[index];
      if (pod === undefined) continue;
      host.enter();
      samples.get(name)?.runs[verb].push(host.call(verb, pod));
    }
  }
}

interface Bursts {
  readonly samples: Samples;
  readonly parallel: number;
  readonly backwards: boolean;
}

function runBursts(verb: Verb, hosts: Hosts, pods: PodsOf, { samples, parallel, backwards }: Bursts): void {
  for (const [name, host] of inTurn(hosts, backwards)) {
    host.enter();
    samples.get(name)?.rates[verb].push(burstRate(host, verb, pods.get(name) ?? [], parallel));
  }
}

function inTurn(hosts: Hosts, backwards: boolean): readonly (readonly [string, BenchHost])[] {
  return backwards ? [...hosts].toReversed() : [...hosts];
}

function makePods(chain: string, directory: string, { start, end }: { start: number; end: number }): readonly Pod[] {
  return Array.from({ length: end - start }, (_, index) => {
    const number = start + index;
    const containerId = `${chain.replaceAll(/\W/g, "")}-${number}`;
    return { containerId, netns: makeNetns(`${directory}/${containerId}`), number };
  });
}

function milliseconds(run: ChainRun): number {
  return run.milliseconds;
}

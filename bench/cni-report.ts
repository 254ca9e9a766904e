/** Prints what was measured of plugins, and how it stands to the bounds. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { chainNames } from "./cni-chains.ts";
import { meanCpu, type Sample, type Samples, valueOf } from "./cni-samples.ts";
import type { Setting } from "./cni-settings.ts";
import { quantile } from "./runner.ts";

/** The machine and how busy it is. */
export function machine(): string {
  const memory = /MemTotal:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  const [cpu] = cpus();
  const load = loadavg().map((value) => value.toFixed(1));
  const gibibytes = (Number(memory) / 2 ** 20).toFixed(0);
  return `${cpus().length} × ${cpu?.model ?? "?"}, ${gibibytes} GiB, Linux ${release()}; load ${load.join(" ")}`;
}

/** Prints one setting's values. */
export function printSamples(setting: Setting, samples: Samples): void {
  const { title, pods, podsAtOnce } = setting;
  console.log(`\n${title} (${pods} pods a chain, ${podsAtOnce} of each at once)\n`);
  if (setting.parallel === 1) printTimes(samples);
  else printRates(samples);
}

function printTimes(samples: Samples): void {
  console.log("             ADD p50      p99      CPU   DEL p50      p99      CPU   ms");
  for (const [name, sample] of samples) {
    const values = [
      valueOf(sample, "ADD p50"),
      valueOf(sample, "ADD p99"),
      meanCpu(sample.runs.ADD),
      valueOf(sample, "DEL p50"),
      valueOf(sample, "DEL p99"),
      meanCpu(sample.runs.DEL),
    ];
    console.log(`${name.padEnd(11)} ${values.map((value) => (value ?? Number.NaN).toFixed(2).padStart(8)).join(" ")}`);
  }
}

function printRates(samples: Samples): void {
  console.log("             ADDs a second   DELs a second   (median of the bursts)");
  for (const [name, { rates }] of samples) {
    const values = [quantile(rates.ADD, 0.5), quantile(rates.DEL, 0.5)];
    console.log(`${name.padEnd(11)} ${values.map((value) => value.toFixed(0).padStart(14)).join("  ")}`);
  }
}

/** Prints, for each bound, which part of upstream's value ours is. */
export function printBounds(results: ReadonlyMap<Setting, Samples>): void {
  console.log("\npart of upstream's                                      ours (a)   bound   ours (b)   bound");
  for (const [{ title, bounds }, samples] of results) {
    const upstream = samples.get(chainNames.upstream);
    for (const { measure, a, b } of bounds) {
      const base = upstream === undefined ? undefined : valueOf(upstream, measure);
      const cells = [
        ...cellsOf(samples.get(chainNames.a), a, (sample) => valueOf(sample, measure), base),
        ...cellsOf(samples.get(chainNames.b), b, (sample) => valueOf(sample, measure), base),
      ];
      console.log(`${`${measure}, ${title}`.slice(0, 52).padEnd(54)} ${cells.join(" ")}`);
    }
  }
}

function cellsOf(
  sample: Sample | undefined,
  bound: number | undefined,
  value: (sample: Sample) => number | undefined,
  base: number | undefined,
): readonly string[] {
  const own = sample === undefined ? undefined : value(sample);
  const ratio = own === undefined || base === undefined ? undefined : own / base;
  const mark = ratio !== undefined && bound !== undefined && ratio > bound ? "!" : " ";
  return [
    `${ratio === undefined ? "-" : ratio.toFixed(2)}${mark}`.padStart(10),
    (bound === undefined ? "-" : `≤ ${bound.toFixed(2)}`).padStart(8),
  ];
}

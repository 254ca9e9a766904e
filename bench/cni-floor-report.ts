/** Prints the floor, how far above it ours stands, and which part of upstream's it is in each row that has a bound. */
import { cpus } from "node:os";
import { chainNames } from "./cni-chains.ts";
import type { Cost, Floor } from "./cni-floor.ts";
import type { Verb } from "./cni-host.ts";
import { type Samples, valueOf } from "./cni-samples.ts";
import type { Measure, Setting } from "./cni-settings.ts";

/** Prints the parts of the floor, then the rows. */
export function printFloor(floor: Floor, results: ReadonlyMap<Setting, Samples>): void {
  printParts(floor);
  console.log("\nthe floor as a part of upstream's                          (a)   bound       (b)   bound");
  for (const [{ title, bounds, taken, parallel }, samples] of results) {
    const measured = samples.get(chainNames.upstream);
    for (const { measure, a, b } of bounds) {
      // Where upstream was measured beside the floor, that counts: the same minute, and as many pods.
      const beside = taken === 0 && parallel === 1 ? upstreamOf(floor, measure) : undefined;
      const base = beside ?? (measured === undefined ? undefined : valueOf(measured, measure)) ?? Number.NaN;
      const cells = (
        [
          [1, a],
          [2, b],
        ] as const
      ).map(([starts, bound]) => cellsOf(floorOf(floor, measure, starts), base, bound));
      console.log(`${`${measure}, ${title}`.slice(0, 52).padEnd(54)} ${cells.join(" ")}`);
    }
  }
}

function printParts({ start, version, hundredStarts, warm, ours, upstream }: Floor): void {
  function sum(verb: Verb): Cost {
    return { wall: start.wall + warm[verb].wall, cpu: start.cpu + warm[verb].cpu };
  }
  console.log("\nthe floor, p50 ms                               ADD     CPU       DEL     CPU");
  line("an executable that does nothing", start, start);
  line("VERSION", version);
  line("the same in a warm process: the kernel", warm.ADD, warm.DEL);
  line("both", sum("ADD"), sum("DEL"));
  line(chainNames.a, ours.ADD, ours.DEL);
  line(chainNames.upstream, upstream.ADD, upstream.DEL);
  console.log(`100 starts that do nothing, 16 at a time: ${hundredStarts.toFixed(0)} ms`);
}

function line(label: string, ...costs: readonly Cost[]): void {
  const cells = costs.map(({ wall, cpu }) => `${wall.toFixed(2).padStart(9)} ${cpu.toFixed(2).padStart(7)}`);
  console.log(`${label.padEnd(42)} ${cells.join(" ")}`);
}

/** The least that a chain of so many processes of ours can take; undefined for what has none. */
function floorOf({ start, hundredStarts, warm }: Floor, measure: Measure, starts: number): number | undefined {
  const floors: Partial<Record<Measure, number>> = {
    "ADD p50": starts * start.wall + warm.ADD.wall,
    "DEL p50": starts * start.wall + warm.DEL.wall,
    "CPU of ADD + DEL": 2 * starts * start.cpu + warm.ADD.cpu + warm.DEL.cpu,
    "time of 100 ADDs": starts * hundredStarts + (100 * warm.ADD.cpu) / cpus().length,
  };
  return floors[measure];
}

function upstreamOf({ upstream }: Floor, measure: Measure): number | undefined {
  const values: Partial<Record<Measure, number>> = {
    "ADD p50": upstream.ADD.wall,
    "DEL p50": upstream.DEL.wall,
    "CPU of ADD + DEL": upstream.ADD.cpu + upstream.DEL.cpu,
  };
  return values[measure];
}

function cellsOf(floor: number | undefined, base: number, bound: number | undefined): string {
  const ratio = floor === undefined ? "-" : (floor / base).toFixed(2);
  return `${ratio.padStart(7)} ${(bound === undefined ? "-" : `≤ ${bound.toFixed(2)}`).padStart(8)}`;
}

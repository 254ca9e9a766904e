import { createFaultHost } from "./host.ts";
import type { FaultHost } from "./host.ts";
import type { FaultNetwork } from "./networks.ts";

/** How many hosts work at the same time: more do not fit on two processors. */
const laneCount = 2;

/** True in `npm run faults`: every point, every pod. `npm test` takes what a minute allows. */
export const everything: boolean = process.env["TARTAN_FAULTS"] === "all";

/** How long one test of faults may take, in milliseconds: with everything, thousands of starts. */
export const faultTimeoutMs: number = everything ? 3_600_000 : 600_000;

/** Does the work for every item, on some hosts of a network side by side, and returns what failed. */
export async function runLanes<T>(
  network: FaultNetwork,
  items: readonly T[],
  work: (host: FaultHost, item: T) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const failures: string[] = [];
  const waiting = items.values();
  async function runLane(): Promise<void> {
    await using host = await createFaultHost(network);
    await host.learnWholePod();
    for (const item of waiting) failures.push(...(await work(host, item)));
  }
  // Every lane is waited for, so that none works on when the test has ended.
  const ends = await Promise.allSettled(Array.from({ length: laneCount }, runLane));
  const crash = ends.find((end) => end.status === "rejected");
  if (crash !== undefined) throw crash.reason;
  return failures;
}

/** Says how much was done, where somebody asked for everything. */
export function report(line: string): void {
  if (everything) process.stdout.write(`faults: ${line}\n`);
}

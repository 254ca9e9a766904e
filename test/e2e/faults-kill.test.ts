import { expect, test } from "bun:test";

import { createFaultHost } from "../faults/host.ts";
import { everything, report, runLanes } from "../faults/lanes.ts";
import {
  listPoints,
  prepare,
  problemsOfDelete,
  problemsOfNextPod,
  runWithFault,
  situations,
  verbOf,
} from "../faults/runs.ts";
import type { Situation } from "../faults/runs.ts";
import type { FaultHost } from "../faults/host.ts";
import { describePoint, samplePoints } from "../faults/strace.ts";
import type { CallPoint } from "../faults/strace.ts";
import { describeWith } from "../helpers/require.ts";

/** Of the calls before our own code every so many-th, unless everything is asked for. */
const earlierStep = 25;
const timeoutMs = 600_000;

await describeWith(
  ["root", "executable", "tool:strace", "tool:nft", "link:veth", "link:bridge"],
  "killed at a system call",
  () => {
    for (const situation of situations) {
      test(
        `${situation}: the DEL that follows leaves nothing, and the next ADD works`,
        async () => {
          const points = await choosePoints(situation);
          let kills = 0;
          const failures = await runLanes(points, async (host, point) => {
            const { problems, met } = await killAt(host, situation, point);
            if (met) kills++;
            return problems.map((problem) => `${situation} killed at ${describePoint(point)}: ${problem}`);
          });
          report(`${situation}: ${points.length} points, ${kills} kills, ${failures.length} failures`);
          expect(failures).toEqual([]);
          // Threads and memory differ a little from run to run, our own calls do not.
          expect(kills).toBeGreaterThan(points.length * 0.9);
        },
        timeoutMs,
      );
    }
  },
);

/** All points of our own code; of those before it some, or all. */
async function choosePoints(situation: Situation): Promise<readonly CallPoint[]> {
  await using host = await createFaultHost();
  const points = await listPoints(host, situation);
  return samplePoints(points, everything ? 1 : earlierStep);
}

async function killAt(
  host: FaultHost,
  situation: Situation,
  point: CallPoint,
): Promise<{ readonly problems: readonly string[]; readonly met: boolean }> {
  await prepare(host, situation);
  const outcome = await runWithFault(host, situation, { point, fault: "kill" });
  const survived = outcome.met || outcome.exitCode === 0;
  const own = survived ? [] : [`${verbOf(situation)} ended with ${outcome.exitCode}: ${outcome.stdout}`];
  // A runtime that crashed as well may have forgotten the namespace.
  const options = point.number % 2 === 0 ? { netns: "" } : {};
  const problems = [...own, ...(await problemsOfDelete(host, options)), ...(await problemsOfNextPod(host))];
  // What is left is one point's fault, and not the next one's.
  if (problems.length > 0) await host.reset();
  return { problems, met: outcome.met };
}

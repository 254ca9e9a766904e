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
  untilMet,
  verbOf,
} from "../faults/runs.ts";
import type { Situation } from "../faults/runs.ts";
import type { FaultHost } from "../faults/host.ts";
import { describePoint, samplePoints } from "../faults/strace.ts";
import type { CallPoint } from "../faults/strace.ts";
import { outcome } from "../helpers/cni-network.ts";
import { describeWith } from "../helpers/require.ts";

/** Of the calls before our own code every so many-th, unless everything is asked for. */
const earlierStep = 25;
/** Of the calls before GC every so many-th, unless everything is asked for. */
const collectStep = 3;
const timeoutMs = 600_000;
/** Calls of our own code: fewer were no ADD and no DEL. */
const ownAtLeast = 50;

await describeWith(
  ["root", "executable", "tool:strace", "tool:nft", "link:veth", "link:bridge"],
  "killed at a system call",
  () => {
    for (const situation of situations) {
      test(
        `${situation}: the DEL that follows leaves nothing, and the next ADD works`,
        async () => {
          const points = await choosePoints(situation);
          let runs = 0;
          const failures = await runLanes(points, async (host, point) => {
            const problems = await untilMet(() => {
              runs++;
              return killAt(host, situation, point);
            });
            return problems.map((problem) => `${situation} killed at ${describePoint(point)}: ${problem}`);
          });
          report(`${situation}: ${points.length} points, ${runs} runs, ${failures.length} failures`);
          expect(failures).toEqual([]);
          expect(points.filter(({ own }) => own).length).toBeGreaterThan(ownAtLeast);
        },
        timeoutMs,
      );
    }

    test(
      "ADD: GC of a runtime that knows no pod leaves nothing, but for a file that may still be in the writing",
      async () => {
        const own = (await choosePoints("ADD")).filter((point) => point.own);
        const points = own.filter((_point, index) => everything || index % collectStep === 0);
        const failures = await runLanes(points, async (host, point) => {
          const problems = await untilMet(() => killAndCollect(host, point));
          return problems.map((problem) => `ADD killed at ${describePoint(point)}: ${problem}`);
        });
        report(`ADD, then GC: ${points.length} points, ${failures.length} failures`);
        expect(failures).toEqual([]);
      },
      timeoutMs,
    );
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
  const { met, exitCode, stdout } = await runWithFault(host, situation, { point, fault: "kill" });
  const own = met || exitCode === 0 ? [] : [`${verbOf(situation)} ended with ${exitCode}: ${stdout}`];
  // A runtime that crashed as well may have forgotten the namespace.
  const options = point.number % 2 === 0 ? { netns: "" } : {};
  const problems = [...own, ...(await problemsOfDelete(host, options)), ...(await problemsOfNextPod(host))];
  // What is left is one point's fault, and not the next one's.
  if (problems.length > 0) await host.reset();
  return { problems, met };
}

async function killAndCollect(
  host: FaultHost,
  point: CallPoint,
): Promise<{ readonly problems: readonly string[]; readonly met: boolean }> {
  await prepare(host, "ADD");
  const { met } = await runWithFault(host, "ADD", { point, fault: "kill" });
  const collected = outcome(await host.collect());
  const strays = (await host.strays()).filter((line) => !isUnfinished(line));
  const problems = [
    ...(collected === "ok" ? [] : [`GC answered ${collected}`]),
    ...strays.map((line) => `left after GC: ${line}`),
    ...(await problemsOfNextPod(host)),
  ];
  if (problems.length > 0) await host.reset();
  return { problems, met };
}

/** A file of flannel's that does not say yet whose it is. */
function isUnfinished(line: string): boolean {
  return /^file \.\w+\.tartan /.test(line) && !line.includes("tartan.interface");
}

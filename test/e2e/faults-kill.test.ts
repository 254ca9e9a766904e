import { expect, test } from "bun:test";

import { createFaultHost } from "../faults/host.ts";
import { everything, faultTimeoutMs, report, runLanes } from "../faults/lanes.ts";
import {
  cases,
  listPoints,
  prepare,
  problemsOfDelete,
  problemsOfNextPod,
  runWithFault,
  sampleOf,
  untilMet,
  verbOf,
} from "../faults/runs.ts";
import type { Situation } from "../faults/runs.ts";
import type { FaultHost } from "../faults/host.ts";
import { type FaultNetwork, dualNetwork, fusedNetwork, stockNetwork } from "../faults/networks.ts";
import { describePoint, samplePoints } from "../faults/strace.ts";
import type { CallPoint } from "../faults/strace.ts";
import { outcome } from "../helpers/cni-network.ts";
import { describeWith } from "../helpers/require.ts";

/** Of the calls before our own code every so many-th, unless everything is asked for. */
const earlierStep = 25;
/** Of the calls before GC every so many-th, unless everything is asked for. */
const collectStep = 3;
/** Of the calls of our own code in other networks than the first every so many-th, unless everything is asked for. */
const otherStep = 5;
/** After every so many-th call of a name the next pod is looked at closely, unless everything is asked for. */
const lookStep = 5;
/** Calls of our own code: fewer were no ADD and no DEL. */
const ownAtLeast = 50;

await describeWith(
  ["root", "executable", "tool:strace", "tool:nft", "link:veth", "link:bridge"],
  "killed at a system call",
  () => {
    for (const [network, situation] of cases) {
      test(
        `${network.name}, ${situation}: the DEL that follows leaves nothing, and the next ADD works`,
        async () => {
          const points = await choosePoints(network, situation);
          let runs = 0;
          const failures = await runLanes(network, points, async (host, point) => {
            const problems = await untilMet(point, () => {
              runs++;
              return killAt(host, situation, point);
            });
            return problems.map((problem) => `${situation} killed at ${describePoint(point)}: ${problem}`);
          });
          const name = `${network.name}, ${situation}`;
          report(`${name}: ${points.length} points, ${runs} runs, ${failures.length} failures`);
          expect(failures).toEqual([]);
        },
        faultTimeoutMs,
      );
    }

    for (const network of everything ? [fusedNetwork, dualNetwork, stockNetwork] : [fusedNetwork]) {
      test(
        `${network.name}, ADD: GC of a runtime that knows no pod leaves nothing, but for a file that may still be in the writing`,
        async () => {
          const own = (await choosePoints(network, "ADD")).filter((point) => point.own);
          const points = own.filter((_point, index) => everything || index % collectStep === 0);
          const failures = await runLanes(network, points, async (host, point) => {
            const problems = await untilMet(point, () => killAndCollect(host, point));
            return problems.map((problem) => `ADD killed at ${describePoint(point)}: ${problem}`);
          });
          report(`${network.name}, ADD, then GC: ${points.length} points, ${failures.length} failures`);
          expect(failures).toEqual([]);
        },
        faultTimeoutMs,
      );
    }
  },
);

/** All points of our own code; of those before it, and of networks other than the first, some, or all. */
async function choosePoints(network: FaultNetwork, situation: Situation): Promise<readonly CallPoint[]> {
  await using host = await createFaultHost(network);
  const points = await listPoints(host, situation);
  const own = points.filter((point) => point.own);
  expect(own.length).toBeGreaterThan(ownAtLeast);
  if (network === fusedNetwork || everything) return samplePoints(points, everything ? 1 : earlierStep);
  return sampleOf(network, own, otherStep);
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
  const look = everything || point.number % lookStep === 0;
  const problems = [...own, ...(await problemsOfDelete(host, options)), ...(await problemsOfNextPod(host, look))];
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

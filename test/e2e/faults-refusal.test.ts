import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";

import { createFaultHost, findErrorText } from "../faults/host.ts";
import type { FaultHost, Outcome } from "../faults/host.ts";
import { faultTimeoutMs, report } from "../faults/lanes.ts";
import { type FaultNetwork, dualNetwork, fusedNetwork, stockNetwork } from "../faults/networks.ts";
import { isForgeable, parseRequests, refusalWords, sendTraceWords } from "../faults/refusal.ts";
import type { RequestPoint } from "../faults/refusal.ts";
import { problemsOfAnswer, sampleOf } from "../faults/runs.ts";
import { TestPod } from "../helpers/cni-host.ts";
import { createNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const laneCount = 6;

/** Of the requests in other networks than the first every so many-th, unless everything is asked for. */
const otherStep = 6;

/** The same in every run, so that each sends the same bytes. */
const containerId = "0123456789abcdef";

await describeWith(
  ["root", "executable", "tool:strace", "tool:nft", "link:veth", "link:bridge"],
  "a kernel that refuses",
  () => {
    for (const network of [fusedNetwork, dualNetwork, stockNetwork]) {
      test(
        `${network.name}, each request of ADD in turn: a CNI error with the kernel's words and nothing left, or a whole pod`,
        async () => {
          const points = await listRequests(network, "ADD");
          // The bridge's and the host's alone; the pair, the pod's and those of nf_tables are sent as batches.
          expect(Math.max(...points.map(({ index }) => index))).toBeGreaterThan(1);
          let failures = 0;
          await forEach(points, async (point) => {
            await using run = await refuse(network, "ADD", point);
            const { host, pod, outcome } = run;
            expect(problemsOfAnswer("ADD", outcome)).toEqual([]);
            // What nf_tables refuses is looked at and tried once more; then the answer is as if nothing had been.
            if (outcome.exitCode === 0) {
              expect([point, await host.problemsOfPod(outcome.stdout, pod)]).toEqual([point, []]);
            } else {
              failures++;
              expect(findErrorText(outcome.stdout)).toMatch(/not supported \(EOPNOTSUPP\)|invalid argument \(EINVAL\)/);
              expect(await host.ownStrays([pod])).toEqual([]);
            }
            expect(await host.call("DEL", { pod })).toMatchObject({ exitCode: 0, stdout: "" });
            expect(await host.call("ADD", { pod })).toMatchObject({ exitCode: 0 });
          });
          expect(failures).toBeGreaterThan(0);
          report(`${network.name}, ADD: ${points.length} requests refused, ${failures} to the end`);
        },
        faultTimeoutMs,
      );

      test(
        `${network.name}, each request of DEL in turn: a CNI error, the addresses free, and success when it is called again`,
        async () => {
          const points = await listRequests(network, "DEL");
          expect(points.length).toBeGreaterThan(1);
          await forEach(points, async (point) => {
            await using run = await refuse(network, "DEL", point);
            const { host, pod, outcome } = run;
            expect(problemsOfAnswer("DEL", outcome)).toEqual([]);
            if (outcome.exitCode === 0) expect(await host.strays([pod])).toEqual([]);
            expect(await host.call("DEL", { pod })).toMatchObject({ exitCode: 0, stdout: "" });
            expect(await host.strays([pod])).toEqual([]);
          });
          report(`${network.name}, DEL: ${points.length} requests refused`);
        },
        faultTimeoutMs,
      );
    }
  },
);

/** Some side by side: nf_tables does not answer a transaction whose end it does not know, which takes 5 s to be noticed. */
async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  async function runLane(): Promise<void> {
    for (const item of waiting) await work(item);
  }
  // Every lane is waited for, so that none works on when the test has ended.
  const ends = await Promise.allSettled(Array.from({ length: laneCount }, runLane));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** A run with the host that it was on, which goes when the run goes out of scope. */
interface HostRun extends AsyncDisposable {
  readonly host: FaultHost;
  readonly pod: TestPod;
  readonly outcome: Outcome;
  /** What strace wrote. */
  readonly trace: string;
}

/** A run on a new host, where one request is refused. */
async function refuse(network: FaultNetwork, command: "ADD" | "DEL", point: RequestPoint): Promise<HostRun> {
  const run = await runOnNewHost(network, command, (file) => refusalWords(point, file));
  expect(run.trace).toContain("(INJECTED: args)");
  return run;
}

/** Of several runs the one with the fewest: on a machine with much to do some look more than once whether the pair runs. */
async function listRequests(network: FaultNetwork, command: "ADD" | "DEL"): Promise<readonly RequestPoint[]> {
  const lists: (readonly RequestPoint[])[] = [];
  for (let count = 0; count < 3; count++) {
    await using run = await runOnNewHost(network, command, sendTraceWords);
    expect(run.outcome.exitCode).toBe(0);
    lists.push(parseRequests(run.trace));
  }
  const [shortest = []] = lists.toSorted((left, right) => left.length - right.length);
  const forgeable = shortest.filter(isForgeable);
  // With two families the transaction of a pod's elements is longer.
  expect(forgeable.length).toBeGreaterThan(shortest.length * 0.75);
  return sampleOf(network, forgeable, otherStep);
}

async function runOnNewHost(
  network: FaultNetwork,
  command: "ADD" | "DEL",
  wrapperOf: (file: string) => readonly string[],
): Promise<HostRun> {
  await using stack = new AsyncDisposableStack();
  const host = stack.use(await createFaultHost(network));
  const pod = stack.use(new TestPod(containerId, await createNetns()));
  // The tables are there, so that no transaction is too long for strace to forge; the bridge is not.
  await host.learnWholePod();
  await host.host.netns.ip("link", "delete", "cni0");
  if (command === "DEL") expect(await host.call("ADD", { pod })).toMatchObject({ exitCode: 0 });
  const file = host.host.directory.join("trace");
  const outcome = await host.call(command, { pod, wrapper: wrapperOf(file) });
  const trace = await readFile(file, "utf8");
  const kept = stack.move();
  return { host, pod, outcome, trace, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

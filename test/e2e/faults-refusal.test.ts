import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";

import { createFaultHost, findErrorText } from "../faults/host.ts";
import type { FaultHost, Outcome } from "../faults/host.ts";
import { report } from "../faults/lanes.ts";
import { parseRequests, refusalWords, sendTraceWords } from "../faults/refusal.ts";
import type { RequestPoint } from "../faults/refusal.ts";
import { problemsOfAnswer } from "../faults/runs.ts";
import { TestPod } from "../helpers/cni-host.ts";
import { createNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

/** The same in every run, so that each sends the same bytes. */
const containerId = "0123456789abcdef";

await describeWith(
  ["root", "executable", "tool:strace", "tool:nft", "link:veth", "link:bridge"],
  "a kernel that refuses",
  () => {
    test("each request of ADD in turn: a CNI error with the kernel's words, and nothing left", async () => {
      const points = await listRequests("ADD");
      // The bridge's and the host's alone; the pair and the pod's are sent as batches.
      expect(Math.max(...points.map(({ index }) => index))).toBeGreaterThan(1);
      let failures = 0;
      for (const point of points) {
        await using run = await refuse("ADD", point);
        const { host, pod, outcome } = run;
        expect(problemsOfAnswer("ADD", outcome)).toEqual([]);
        // What nf_tables refuses is looked at and tried once more; then the answer is as if nothing had been.
        if (outcome.exitCode === 1) {
          failures++;
          expect(findErrorText(outcome.stdout)).toMatch(/not supported \(EOPNOTSUPP\)|invalid argument \(EINVAL\)/);
          expect(await host.strays([pod])).toEqual([]);
        }
        expect(await host.call("DEL", { pod })).toMatchObject({ exitCode: 0, stdout: "" });
        expect(await host.call("ADD", { pod })).toMatchObject({ exitCode: 0 });
      }
      expect(failures).toBeGreaterThan(points.length / 2);
      report(`ADD: ${points.length} requests refused, ${failures} to the end`);
    });

    test("each request of DEL in turn: a CNI error, the addresses free, and success when it is called again", async () => {
      const points = await listRequests("DEL");
      expect(points.length).toBeGreaterThan(1);
      for (const point of points) {
        await using run = await refuse("DEL", point);
        const { host, pod, outcome } = run;
        expect(problemsOfAnswer("DEL", outcome)).toEqual([]);
        if (outcome.exitCode === 0) expect(await host.strays([pod])).toEqual([]);
        expect(await host.call("DEL", { pod })).toMatchObject({ exitCode: 0, stdout: "" });
        expect(await host.strays([pod])).toEqual([]);
      }
      report(`DEL: ${points.length} requests refused`);
    });
  },
);

/** A run with the host that it was on, which goes when the run goes out of scope. */
interface HostRun extends AsyncDisposable {
  readonly host: FaultHost;
  readonly pod: TestPod;
  readonly outcome: Outcome;
  /** What strace wrote. */
  readonly trace: string;
}

/** A run on a new host, where one request is refused. */
async function refuse(command: "ADD" | "DEL", point: RequestPoint): Promise<HostRun> {
  const run = await runOnNewHost(command, (file) => refusalWords(point, file));
  expect(run.trace).toContain("(INJECTED: args)");
  return run;
}

/** Of several runs the one with the fewest: on a machine with much to do some look more than once whether the pair runs. */
async function listRequests(command: "ADD" | "DEL"): Promise<readonly RequestPoint[]> {
  const lists: (readonly RequestPoint[])[] = [];
  for (let count = 0; count < 3; count++) {
    await using run = await runOnNewHost(command, sendTraceWords);
    expect(run.outcome.exitCode).toBe(0);
    lists.push(parseRequests(run.trace));
  }
  const [shortest = []] = lists.toSorted((left, right) => left.length - right.length);
  return shortest;
}

async function runOnNewHost(command: "ADD" | "DEL", wrapperOf: (file: string) => readonly string[]): Promise<HostRun> {
  await using stack = new AsyncDisposableStack();
  const host = stack.use(await createFaultHost());
  const pod = stack.use(new TestPod(containerId, await createNetns()));
  // The tables are there, so that no transaction is too long for strace to forge; the bridge is not.
  for (const verb of ["ADD", "DEL"] as const) expect(await host.call(verb)).toMatchObject({ exitCode: 0 });
  await host.host.netns.ip("link", "delete", "cni0");
  if (command === "DEL") expect(await host.call("ADD", { pod })).toMatchObject({ exitCode: 0 });
  const file = host.host.directory.join("trace");
  const outcome = await host.call(command, { pod, wrapper: wrapperOf(file) });
  const trace = await readFile(file, "utf8");
  const kept = stack.move();
  return { host, pod, outcome, trace, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

import { readFile } from "node:fs/promises";

import { findErrorText, findResultAddress } from "./host.ts";
import type { CallOptions, FaultHost, Outcome } from "./host.ts";
import { everything } from "./lanes.ts";
import { dualNetwork, type FaultNetwork, fusedNetwork, stockNetwork } from "./networks.ts";
import { faultWords, parsePoints, traceWords, wasInjected } from "./strace.ts";
import type { CallPoint, Fault } from "./strace.ts";

/** A verb as it finds the host: `first` is an ADD on a node that has never had a pod. */
export type Situation = "first ADD" | "ADD" | "DEL";

const situations = ["first ADD", "ADD", "DEL"] as const;

/** Networks with the situations that a test has time for: all in `npm run faults`. */
export const cases: readonly (readonly [FaultNetwork, Situation])[] = [fusedNetwork, dualNetwork, stockNetwork]
  .flatMap((network) => situations.map((situation) => [network, situation] as const))
  .filter(([network, situation]) => everything || network === fusedNetwork || situation !== "first ADD");

/** Of a list about a network: all in `npm run faults` and of the first network, else every so many-th. */
export function sampleOf<T>(network: FaultNetwork, items: readonly T[], step: number): readonly T[] {
  return everything || network === fusedNetwork ? items : items.filter((_item, index) => index % step === 0);
}

/** The verb of a situation. */
export function verbOf(situation: Situation): "ADD" | "DEL" {
  return situation === "DEL" ? "DEL" : "ADD";
}

/** Brings the host into a situation; the pod has nothing before. */
export async function prepare(host: FaultHost, situation: Situation): Promise<void> {
  if (situation === "first ADD") await host.reset();
  else await mustWork(host, "ADD");
  if (situation === "ADD") await mustWork(host, "DEL");
}

/** A machine with much to do makes a run wait and look again, which another run need not. */
const traceCount = 3;

/** The points that runs without faults have in common. */
export async function listPoints(host: FaultHost, situation: Situation): Promise<readonly CallPoint[]> {
  let common = await tracePoints(host, situation);
  for (let count = 1; count < traceCount; count++) {
    const others = new Set((await tracePoints(host, situation)).map(pointName));
    common = common.filter((point) => others.has(pointName(point)));
  }
  return common;
}

function pointName({ call, number }: CallPoint): string {
  return `${call} ${number}`;
}

async function tracePoints(host: FaultHost, situation: Situation): Promise<readonly CallPoint[]> {
  const file = host.host.directory.join("trace");
  await prepare(host, situation);
  const { exitCode } = await host.call(verbOf(situation), { wrapper: traceWords(file) });
  if (exitCode !== 0) throw new Error(`Cannot trace ${situation}: exit code ${exitCode}`);
  await mustWork(host, "DEL");
  return parsePoints(await readFile(file, "utf8"));
}

/** A run with a fault. `met` is false when it made fewer calls of that name than the traced one. */
export async function runWithFault(
  host: FaultHost,
  situation: Situation,
  { point, fault }: { readonly point: CallPoint; readonly fault: Fault },
): Promise<Outcome & { readonly met: boolean }> {
  const file = host.host.directory.join("trace");
  const outcome = await host.call(verbOf(situation), { wrapper: faultWords(point, fault, file) });
  const met = fault === "kill" ? outcome.killed : wasInjected(await readFile(file, "utf8"));
  return { ...outcome, met };
}

/** A call that threads or memory make does not come in every run, but in one of so many. */
const mostRuns = 25;

/**
 * How often threads wait for one another is chance: the traced run may have made more such calls than any other will. Each
 * number of them that a run reaches is met all the same.
 */
const callsByChance: readonly string[] = ["futex", "sched_yield"];

/** Repeats a run until its fault has been met, and returns what is wrong with each; also when none has met it. */
export async function untilMet(
  { call }: CallPoint,
  run: () => Promise<{ readonly met: boolean; readonly problems: readonly string[] }>,
): Promise<readonly string[]> {
  const all: string[] = [];
  for (let count = 0; count < mostRuns; count++) {
    const { met, problems } = await run();
    all.push(...problems);
    if (met || all.length > 0) return all;
  }
  return callsByChance.includes(call) ? [] : [`no run of ${mostRuns} made the call`];
}

/** What is wrong after a DEL: it has to succeed, to print nothing and to leave nothing. */
export async function problemsOfDelete(host: FaultHost, options: CallOptions = {}): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await host.call("DEL", options);
  const ended = exitCode === 0 && stdout === "" ? [] : [`DEL ended with ${exitCode}: ${stdout}${stderr}`];
  const strays = await host.strays();
  return [...ended, ...strays.map((line) => `left after DEL: ${line}`)];
}

/**
 * What is wrong with an ADD and a DEL that meet no fault; with `look`, which takes longer than both, also whether the pod
 * has all that one has. host.learnWholePod() is called before.
 */
export async function problemsOfNextPod(host: FaultHost, look: boolean = everything): Promise<readonly string[]> {
  const { exitCode, stdout, stderr } = await host.call("ADD");
  const added = exitCode === 0 ? [] : [`it ended with ${exitCode}: ${stdout}${stderr}`];
  if (look && exitCode === 0) added.push(...(await host.problemsOfPod(stdout)));
  return [...added.map((problem) => `the next ADD: ${problem}`), ...(await problemsOfDelete(host))];
}

/** What is wrong with an answer: a result when it succeeded, else a CNI error. */
export function problemsOfAnswer(command: "ADD" | "DEL", { exitCode, stdout, stderr }: Outcome): readonly string[] {
  if (exitCode !== 0) {
    return findErrorText(stdout) === undefined ? [`exit code ${exitCode} without a CNI error: ${stdout}${stderr}`] : [];
  }
  if (command === "DEL") return stdout === "" ? [] : [`DEL printed ${stdout}`];
  return findResultAddress(stdout) === undefined ? [`ADD succeeded with no result: ${stdout}`] : [];
}

async function mustWork(host: FaultHost, command: "ADD" | "DEL"): Promise<void> {
  const { exitCode, stdout, stderr } = await host.call(command);
  if (exitCode !== 0) throw new Error(`Cannot prepare the host: ${command} ended with ${exitCode}: ${stdout}${stderr}`);
}

/** What the moves between upstream's flannel and ours have in common: the pods that stay, their pings, what they leave. */
import { expect } from "bun:test";

import { waitUntil } from "../helpers/wait-until.ts";
import { findResult, listPodTraces, startSteadyPing } from "./node-state.ts";
import type { PingCount, SteadyPing } from "./node-state.ts";
import { createPods, deletePods, fetchFrom, greeter, pingFrom } from "./pods.ts";
import type { PodSpec } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

const hostPort = 8090;

/** For what a daemon does late, after it has said that it is ready. */
export const lateMs = 2000;

/** The pods that are there before a move and stay until after it. */
export function standingPods(name: string): readonly PodSpec[] {
  return [
    { name: `${name}-1`, node: "node1" },
    { name: `${name}-2`, node: "node2" },
    { name: `${name}-host-port`, node: "node1", command: greeter, hostPort },
  ];
}

/** Pings between two pods, each way. */
export class Pings implements AsyncDisposable {
  readonly #pings: readonly SteadyPing[];

  constructor(pings: readonly SteadyPing[]) {
    this.#pings = pings;
  }

  /** Ends them and counts. */
  async stop(): Promise<PingCount> {
    const counts = await Promise.all(this.#pings.map((ping) => ping.stop()));
    return {
      sent: counts.reduce((sum, { sent }) => sum + sent, 0),
      lost: counts.reduce((sum, { lost }) => sum + lost, 0),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ping of this.#pings) await ping[Symbol.asyncDispose]();
  }
}

/** Makes the pods that are to stay, where they are not there yet, and pings between two of them. */
export async function startPings(cluster: RealCluster, pods: string): Promise<Pings> {
  const [one, two] = await createPods(cluster.kubectl, standingPods(pods));
  await using made = new AsyncDisposableStack();
  const pings = [];
  for (const [node, name, to] of [
    [cluster.node(1), `${pods}-1`, two],
    [cluster.node(2), `${pods}-2`, one],
  ] as const) {
    const { sandbox } = await findResult(node, name);
    pings.push(made.use(await startSteadyPing(node, sandbox, to?.address ?? "")));
  }
  made.move();
  return new Pings(pings);
}

/** That no ping of many was lost. */
export function expectNoLoss({ sent, lost }: PingCount): void {
  expect(sent).toBeGreaterThan(400);
  expect(lost).toBe(0);
}

/** That the host port of such pods answers from the other node, and that it is theirs. */
export async function checkHostPort(cluster: RealCluster, pods: string): Promise<void> {
  const { address } = cluster.node(1);
  expect(await fetchFrom(cluster.kubectl, `${pods}-2`, address, hostPort)).toContain(`${pods}-host-port`);
}

/** Pods made now on both nodes reach each other. */
export async function checkNewPods({ kubectl }: RealCluster, name: string): Promise<void> {
  const specs: readonly PodSpec[] = [
    { name: `${name}-a`, node: "node1" },
    { name: `${name}-b`, node: "node2" },
  ];
  const [first, second] = await createPods(kubectl, specs);
  expect(await pingFrom(kubectl, `${name}-a`, second?.address ?? "")).toContain("1 received");
  expect(await pingFrom(kubectl, `${name}-b`, first?.address ?? "")).toContain("1 received");
  await deletePods(kubectl, specs);
}

/** Waits until there are no other traces of pods than before. */
export async function nothingLeft(cluster: RealCluster, before: readonly string[]): Promise<void> {
  await waitUntil(
    "nothing is left of the pods",
    async () => (await listAllTraces(cluster)).length <= before.length,
    30_000,
  );
  expect(await listAllTraces(cluster)).toEqual(before);
}

/** What is on all nodes for their pods, as lines. */
export async function listAllTraces(cluster: RealCluster): Promise<readonly string[]> {
  const traces = await Promise.all(
    cluster.nodes.map(async (node) => (await listPodTraces(node)).map((trace) => `${node.name}: ${trace}`)),
  );
  return traces.flat();
}

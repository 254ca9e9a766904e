import { expect, test } from "bun:test";

import { waitUntil } from "../helpers/wait-until.ts";
import { findResult, listPodTraces } from "./node-state.ts";
import { createPods, decodePod, deletePods, podManifest } from "./pods.ts";
import type { PodSpec, PodState } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

const podsPerNode = 30;
const rounds = 2;
const testTimeoutMs = 300_000;

/** Many pods at once. */
export function churnSuite(cluster: () => RealCluster): void {
  test(
    `${podsPerNode} pods a node, made and deleted at once, ${rounds} times: each is reached as soon as it runs, nothing is left`,
    () => checkChurn(cluster()),
    testTimeoutMs,
  );
}

async function checkChurn(cluster: RealCluster): Promise<void> {
  const { kubectl } = cluster;
  const watchers: readonly PodSpec[] = cluster.nodes.map(({ name }) => ({ name: `watcher-${name}`, node: name }));
  await createPods(kubectl, watchers);
  const before = await listTraces(cluster);
  for (let round = 1; round <= rounds; round++) {
    const specs = cluster.nodes.flatMap(({ name }) =>
      Array.from({ length: podsPerNode }, (_, index) => ({ name: `churn-${name}-${index}`, node: name })),
    );
    await kubectl.apply(...specs.map(podManifest));
    await reachAll(cluster, specs);
    await deletePods(kubectl, specs);
    await waitUntil(
      "nothing is left of the pods",
      async () => (await listTraces(cluster)).length <= before.length,
      60_000,
    );
    expect(await listTraces(cluster)).toEqual(before);
  }
  await deletePods(kubectl, watchers);
}

/** Pings every pod from the other node once, in the moment in which it is first seen to run. */
async function reachAll(cluster: RealCluster, specs: readonly PodSpec[]): Promise<void> {
  const reached = new Set<string>();
  await waitUntil(
    "all pods run",
    async () => {
      const pods = (await cluster.kubectl.get("pods")).field("items").list().map(decodePod);
      const fresh = pods.filter(
        ({ name, phase }) => phase === "Running" && !reached.has(name) && specs.some((spec) => spec.name === name),
      );
      await Promise.all(fresh.map((pod) => reach(cluster, pod)));
      for (const { name } of fresh) reached.add(name);
      return reached.size === specs.length;
    },
    120_000,
  );
}

async function reach(cluster: RealCluster, pod: PodState): Promise<void> {
  const from = cluster.nodes.find(({ name }) => name !== pod.node);
  if (from === undefined) throw new Error(`Cannot ping ${pod.name}: there is no node but its own`);
  const { sandbox } = await findResult(from, `watcher-${from.name}`);
  const ping = ["nsenter", `--net=${sandbox}`, "ping", "-n", "-c", "1", "-W", "1", pod.address];
  const { stdout } = await from.run(ping, { exitCode: "any" });
  expect(stdout).toContain("1 received");
}

async function listTraces(cluster: RealCluster): Promise<readonly string[]> {
  const traces = await Promise.all(
    cluster.nodes.map(async (node) => (await listPodTraces(node)).map((trace) => `${node.name}: ${trace}`)),
  );
  return traces.flat();
}

import { expect, test } from "bun:test";

import { waitUntil } from "../helpers/wait-until.ts";
import { findResult, listPodTraces } from "./node-state.ts";
import { PodWatch } from "./pod-watch.ts";
import { createPods, deletePods, podManifest } from "./pods.ts";
import type { PodSpec, PodState } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

const podsPerNode = 30;
const rounds = 2;
const firstHostPort = 20_000;
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
      Array.from({ length: podsPerNode }, (_, index) => ({
        name: `churn-${name}-${index}`,
        node: name,
        // So that there are rules which must go.
        ...(index % 3 === 0 ? { hostPort: firstHostPort + index } : {}),
      })),
    );
    await using watch = new PodWatch(kubectl);
    await kubectl.apply(...specs.map(podManifest));
    // Pinged in the moment in which it is first seen to run; the watchers, which run already, are among them.
    await watch.untilRunning(specs.length + watchers.length, (pod) => reach(cluster, pod), 120_000);
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

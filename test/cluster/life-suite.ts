import { rm } from "node:fs/promises";
import { expect, test } from "bun:test";

import { waitUntil } from "../helpers/wait-until.ts";
import type { RealNode } from "./cluster-node.ts";
import { daemonsReady } from "./flannel.ts";
import { findResult, listResults, startSteadyPing } from "./node-state.ts";
import { createPods, deletePods, pingFrom, podManifest } from "./pods.ts";
import type { PodSpec, PodState } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

const pair: readonly PodSpec[] = [
  { name: "left", node: "node1" },
  { name: "right", node: "node2" },
];
const outageMs = 30_000;
const testTimeoutMs = 240_000;

/** Pods, daemons and the API server come and go. */
export function lifeSuite(cluster: () => RealCluster): void {
  test(
    "a pod that was deleted and made again on its node is reached again",
    () => checkAgain(cluster()),
    testTimeoutMs,
  );
  test("a rolling restart keeps every subnet and loses no packet", () => checkRestart(cluster()), testTimeoutMs);
  test("a killed daemon comes back and loses no packet", () => checkKill(cluster()), testTimeoutMs);
  test("without the API server pods come and go, and nothing is lost", () => checkOutage(cluster()), testTimeoutMs);
}

/** Flannel's end-to-end scenario 17. */
async function checkAgain({ kubectl }: RealCluster): Promise<void> {
  await createPods(kubectl, pair);
  await deletePods(kubectl, pair.slice(1));
  const [left, right] = await createPods(kubectl, pair);
  expect(await pingFrom(kubectl, "left", right?.address ?? "")).toContain("1 received");
  expect(await pingFrom(kubectl, "right", left?.address ?? "")).toContain("1 received");
}

/** Flannel's end-to-end scenario 18. */
async function checkRestart(cluster: RealCluster): Promise<void> {
  const { kubectl } = cluster;
  const before = await subnetLines(cluster);
  await using ping = await pingBetween(cluster);
  await kubectl.run(["rollout", "restart", "daemonset/kube-flannel-ds", "-n", "kube-flannel"]);
  await daemonsReady(cluster);
  expect(await subnetLines(cluster)).toEqual(before);
  expect(await ping.stop()).toMatchObject({ lost: 0 });
}

async function checkKill(cluster: RealCluster): Promise<void> {
  const node = cluster.node(1);
  const killed = await daemonPid(node);
  await using ping = await pingBetween(cluster);
  await node.run(["kill", "-KILL", killed]);
  await waitUntil("the daemon is back", async () => ![killed, ""].includes(await daemonPid(node)), 60_000);
  await daemonsReady(cluster);
  expect(await ping.stop()).toMatchObject({ lost: 0 });
}

/** The kubelets go on without the API server: of static pods, one is deleted and one started by them in that time. */
async function checkOutage(cluster: RealCluster): Promise<void> {
  const { kubectl } = cluster;
  const node = cluster.node(1);
  const [, right] = await createPods(kubectl, pair);
  await writeStaticPod(node, "static-before");
  await waitUntil("the first static pod is there", () => hasPod(node, "static-before"), 60_000);

  await cluster.controlPlane.stopApiServer();
  const stopped = Date.now();
  await using ping = await pingBetween(cluster, right);
  const killed = await daemonPid(cluster.node(2));
  await cluster.node(2).run(["kill", "-KILL", killed]);
  await rm(node.machine.path("var/lib/kubelet/manifests/static-before.json"));
  await writeStaticPod(node, "static-during");
  await waitUntil("the second static pod is there", () => hasPod(node, "static-during"), 60_000);
  await waitUntil("the first static pod is gone", async () => !(await hasPod(node, "static-before")), 60_000);
  const { sandbox } = await findResult(node, "static-during-node1");
  await using between = await startSteadyPing(node, sandbox, right?.address ?? "");
  await waitUntil(
    "the killed daemon is back",
    async () => {
      return ![killed, ""].includes(await daemonPid(cluster.node(2)));
    },
    60_000,
  );
  await Bun.sleep(Math.max(0, outageMs - (Date.now() - stopped)));
  expect(await between.stop()).toMatchObject({ lost: 0 });
  expect(await ping.stop()).toMatchObject({ lost: 0 });

  cluster.controlPlane.startApiServer();
  await cluster.controlPlane.waitForApiServer(kubectl);
  await cluster.nodesReady();
  await daemonsReady(cluster);
  await rm(node.machine.path("var/lib/kubelet/manifests/static-during.json"));
  await waitUntil("the second static pod is gone", async () => !(await hasPod(node, "static-during")), 60_000);
  await deletePods(kubectl, pair);
}

/** Pings from the left pod to the right one. */
async function pingBetween(cluster: RealCluster, to?: PodState): ReturnType<typeof startSteadyPing> {
  const right = to ?? (await createPods(cluster.kubectl, pair))[1];
  const { sandbox } = await findResult(cluster.node(1), "left");
  return await startSteadyPing(cluster.node(1), sandbox, right?.address ?? "");
}

/** The process id, in the node, of the node's daemon; empty while there is none. */
async function daemonPid(node: RealNode): Promise<string> {
  const { stdout } = await node.run(["pgrep", "--full", "--oldest", "flanneld .*--kube-subnet-mgr"], {
    exitCode: "any",
  });
  return stdout.trim();
}

async function subnetLines(cluster: RealCluster): Promise<readonly string[]> {
  const files = await Promise.all(cluster.nodes.map((node) => node.read("run/flannel/subnet.env")));
  return files.map((text) => /^FLANNEL_SUBNET=.*$/m.exec(text)?.[0] ?? "");
}

async function writeStaticPod(node: RealNode, name: string): Promise<void> {
  const text = JSON.stringify(podManifest({ name }));
  await node.machine.write(`var/lib/kubelet/manifests/${name}.json`, text);
}

/** A static pod has its node's name behind its own. */
async function hasPod(node: RealNode, name: string): Promise<boolean> {
  const results = await listResults(node);
  return results.some(({ pod }) => pod === `${name}-${node.name}`);
}

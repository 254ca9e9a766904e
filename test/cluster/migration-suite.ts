import { test } from "bun:test";

import { runCommand } from "../helpers/command.ts";
import { readMoveCommand } from "../helpers/manifest.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import type { RealNode } from "./cluster-node.ts";
import { ownManifest, upstreamManifest } from "./flannel.ts";
import {
  checkHostPort,
  checkNewPods,
  expectNoLoss,
  lateMs,
  listAllTraces,
  nothingLeft,
  standingPods,
  startPings,
} from "./migration.ts";
import type { PingCount } from "./node-state.ts";
import { createPods, deletePods } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

const testTimeoutMs = 300_000;
const daemonSet = ["daemonset/kube-flannel-ds", "-n", "kube-flannel"] as const;

/** The move from upstream's flannel to ours and back, node by node, on a cluster that runs upstream's. */
export function migrationSuite(cluster: () => RealCluster): void {
  test("pods stay reached while upstream's node is moved to ours", () => moveThere(cluster()), testTimeoutMs);
  test("pods stay reached while our nodes are moved back to upstream", () => moveBack(cluster()), testTimeoutMs);
}

async function moveThere(cluster: RealCluster): Promise<void> {
  const before = await listAllTraces(cluster);
  const pods = standingPods("there");
  await createPods(cluster.kubectl, pods);
  await prepareMove(cluster, await withoutConfigMap(await ownManifest()));
  for (const node of cluster.nodes) {
    expectNoLoss(await moveNode(cluster, node, "there"));
    // One node is upstream's, the other ours; then both are ours.
    await checkNewPods(cluster, `mixed-${node.name}`);
  }
  await deletePods(cluster.kubectl, pods);
  await nothingLeft(cluster, before);
}

async function moveBack(cluster: RealCluster): Promise<void> {
  const before = await listAllTraces(cluster);
  const pods = standingPods("back");
  await createPods(cluster.kubectl, pods);
  await prepareMove(cluster, await withoutConfigMap(await upstreamManifest()));
  for (const node of cluster.nodes) {
    expectNoLoss(await moveNode(cluster, node, "back"));
    await checkNewPods(cluster, `back-${node.name}`);
  }
  await deletePods(cluster.kubectl, pods);
  await nothingLeft(cluster, before);
}

/** Everything but the ConfigMap, by the command of README.md: the user's network and conflist stay. */
async function withoutConfigMap(manifest: string): Promise<string> {
  const { stdout } = await runCommand(["sh", "-c", await readMoveCommand("-")], { stdin: manifest });
  return stdout;
}

/** Applies the other manifest so that each node keeps its daemon until that is deleted. */
async function prepareMove({ kubectl }: RealCluster, manifest: string): Promise<void> {
  const strategy = JSON.stringify({ spec: { updateStrategy: { type: "OnDelete", rollingUpdate: null } } });
  await kubectl.run(["patch", ...daemonSet, "-p", strategy]);
  await kubectl.applyText(manifest);
}

/** Gives a node the daemon of the manifest that was applied last, and counts the pings that are lost meanwhile. */
async function moveNode(cluster: RealCluster, node: RealNode, pods: string): Promise<PingCount> {
  await using pings = await startPings(cluster, pods);
  const old = await daemonPod(cluster, node);
  await cluster.kubectl.run(["delete", "pod", old, "-n", "kube-flannel", "--wait=true"]);
  await waitUntil("the node has a new daemon", async () => !["", old].includes(await daemonPod(cluster, node)), 60_000);
  const fresh = await daemonPod(cluster, node);
  await cluster.kubectl.run(["wait", "--for=condition=Ready", `pod/${fresh}`, "-n", "kube-flannel", "--timeout=90s"]);
  await Bun.sleep(lateMs);
  await checkHostPort(cluster, pods);
  return await pings.stop();
}

async function daemonPod({ kubectl }: RealCluster, node: RealNode): Promise<string> {
  const selector = ["-l", "app=flannel", "--field-selector", `spec.nodeName=${node.name}`];
  const names = await kubectl.text(["get", "pods", "-n", "kube-flannel", ...selector, "-o", "name"]);
  return names.split("\n")[0]?.replace("pod/", "") ?? "";
}

import { expect, test } from "bun:test";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { runCommand } from "../helpers/command.ts";
import { readMoveCommand } from "../helpers/manifest.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import { daemonsReady, ownManifest, upstreamManifest } from "./flannel.ts";
import { findResult, listPodTraces, startSteadyPing } from "./node-state.ts";
import type { PingCount } from "./node-state.ts";
import { createPods, deletePods, fetchFrom, greeter, pingFrom } from "./pods.ts";
import type { PodSpec } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";
import type { RealNode } from "./cluster-node.ts";

const hostPort = 8090;
const testTimeoutMs = 300_000;
const daemonSet = ["daemonset/kube-flannel-ds", "-n", "kube-flannel"] as const;

/** The pods that are there before a move and stay until after it. */
function standing(name: string): readonly PodSpec[] {
  return [
    { name: `${name}-1`, node: "node1" },
    { name: `${name}-2`, node: "node2" },
    { name: `${name}-host-port`, node: "node1", command: greeter, hostPort },
  ];
}

/** The move from upstream's flannel to ours and back, node by node, on a cluster that runs upstream's. */
export function migrationSuite(cluster: () => RealCluster): void {
  test("pods stay reached while upstream's node is moved to ours", () => moveThere(cluster()), testTimeoutMs);
  test("pods stay reached while our nodes are moved back to upstream", () => moveBack(cluster()), testTimeoutMs);
  test("our whole manifest takes the place of upstream's", () => replaceWhole(cluster()), testTimeoutMs);
}

/** With its ConfigMap, which makes one plugin do all, and by the rolling update that a user gets. */
async function replaceWhole(cluster: RealCluster): Promise<void> {
  const { kubectl } = cluster;
  const strategy = JSON.stringify({ spec: { updateStrategy: { type: "RollingUpdate" } } });
  await kubectl.run(["patch", ...daemonSet, "-p", strategy]);
  await kubectl.applyText(await ownManifest(cluster.podNetwork));
  await daemonsReady(cluster);
  for (const node of cluster.nodes) {
    const text = await node.read("etc/cni/net.d/10-flannel.conflist");
    const plugins = new Decoder(parseJson(text)).field("plugins").list();
    expect(plugins.map((plugin) => plugin.field("type").string())).toEqual(["flannel"]);
  }
}

async function moveThere(cluster: RealCluster): Promise<void> {
  const before = await allTraces(cluster);
  const pods = standing("there");
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
  const before = await allTraces(cluster);
  const pods = standing("back");
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

function expectNoLoss({ sent, lost }: PingCount): void {
  expect(sent).toBeGreaterThan(400);
  expect(lost).toBe(0);
}

/** Gives a node the daemon of the manifest that was applied last, and counts the pings that are lost meanwhile. */
async function moveNode(cluster: RealCluster, node: RealNode, pods: string): Promise<PingCount> {
  const [one, two] = await createPods(cluster.kubectl, standing(pods));
  const { sandbox } = await findResult(cluster.node(1), `${pods}-1`);
  await using ping = await startSteadyPing(cluster.node(1), sandbox, two?.address ?? "");
  const { sandbox: otherSandbox } = await findResult(cluster.node(2), `${pods}-2`);
  await using reverse = await startSteadyPing(cluster.node(2), otherSandbox, one?.address ?? "");
  const old = await daemonPod(cluster, node);
  await cluster.kubectl.run(["delete", "pod", old, "-n", "kube-flannel", "--wait=true"]);
  await waitUntil("the node has a new daemon", async () => !["", old].includes(await daemonPod(cluster, node)), 60_000);
  const fresh = await daemonPod(cluster, node);
  await cluster.kubectl.run(["wait", "--for=condition=Ready", `pod/${fresh}`, "-n", "kube-flannel", "--timeout=90s"]);
  // What a daemon does late, after it has said that it is ready.
  await Bun.sleep(2000);
  expect(await fetchFrom(cluster.kubectl, `${pods}-2`, cluster.node(1).address, hostPort)).toContain("200 OK");
  const [there, back] = [await ping.stop(), await reverse.stop()];
  return { sent: there.sent + back.sent, lost: there.lost + back.lost };
}

async function daemonPod({ kubectl }: RealCluster, node: RealNode): Promise<string> {
  const selector = ["-l", "app=flannel", "--field-selector", `spec.nodeName=${node.name}`];
  const names = await kubectl.text(["get", "pods", "-n", "kube-flannel", ...selector, "-o", "name"]);
  return names.split("\n")[0]?.replace("pod/", "") ?? "";
}

/** Pods made now on both nodes reach each other. */
async function checkNewPods({ kubectl }: RealCluster, name: string): Promise<void> {
  const specs: readonly PodSpec[] = [
    { name: `${name}-a`, node: "node1" },
    { name: `${name}-b`, node: "node2" },
  ];
  const [first, second] = await createPods(kubectl, specs);
  expect(await pingFrom(kubectl, `${name}-a`, second?.address ?? "")).toContain("1 received");
  expect(await pingFrom(kubectl, `${name}-b`, first?.address ?? "")).toContain("1 received");
  await deletePods(kubectl, specs);
}

async function nothingLeft(cluster: RealCluster, before: readonly string[]): Promise<void> {
  await waitUntil(
    "nothing is left of the pods",
    async () => (await allTraces(cluster)).length <= before.length,
    30_000,
  );
  expect(await allTraces(cluster)).toEqual(before);
}

async function allTraces(cluster: RealCluster): Promise<readonly string[]> {
  const traces = await Promise.all(
    cluster.nodes.map(async (node) => (await listPodTraces(node)).map((trace) => `${node.name}: ${trace}`)),
  );
  return traces.flat();
}

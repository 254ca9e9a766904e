import { expect, test } from "bun:test";

import { waitUntil } from "../helpers/wait-until.ts";
import type { RealNode } from "./cluster-node.ts";
import { firstPods, noSandboxFailed } from "./first-pods.ts";
import { daemonsReady, installOwn } from "./flannel.ts";
import { createPods, podManifest } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

const testTimeoutMs = 180_000;
/** In which the kubelet asks its runtime more than once. */
const observedMs = 12_000;

/**
 * Nodes that have all but their subnet, on a cluster with containerd 2.2 on node1 and 1.6 on node2: the plugins and the
 * conflist are there, and the daemon has not done its work.
 */
export function joinSuite(cluster: () => RealCluster): void {
  test(
    "containerd 2.2: a node with plugins and conflist is not Ready before its daemon has a subnet (STATUS)",
    () => checkNotReady(cluster()),
    testTimeoutMs,
  );
  test(
    "containerd 1.6: such a node is Ready, and its first pod waits for the subnet (ADD)",
    () => checkWaiting(cluster()),
    testTimeoutMs,
  );
  test("no first pod's sandbox has failed on either", () => noSandboxFailed(cluster()), testTimeoutMs);
}

async function checkNotReady(cluster: RealCluster): Promise<void> {
  const [node1, node2] = [cluster.node(1), cluster.node(2)];
  await installOwn(cluster);
  for (const node of cluster.nodes) {
    await waitUntil(`${node.name} has its conflist`, () => has(node, "etc/cni/net.d", "10-flannel.conflist"), 60_000);
    expect(await node.list("opt/cni/bin")).toContain("flannel");
  }
  await waitUntil("node2 is Ready", async () => (await ready(cluster, node2)).status === "True", 60_000);
  await waitUntil("node1 says why", async () => (await ready(cluster, node1)).message.includes("subnet.env"), 60_000);
  const end = Date.now() + observedMs;
  while (Date.now() < end) {
    const { status, message } = await ready(cluster, node1);
    expect(status).toBe("False");
    expect(message).toMatch(/NetworkReady=false .*subnet\.env/);
    await Bun.sleep(500);
  }
  expect(await has(node1, "run/flannel", "subnet.env")).toBe(false);
}

async function checkWaiting(cluster: RealCluster): Promise<void> {
  const { kubectl } = cluster;
  const [node1, node2] = [cluster.node(1), cluster.node(2)];
  const pods = firstPods(cluster);
  await kubectl.apply(...pods.map(podManifest));
  await waitUntil("the plugin is there for node2's pod", () => pluginRuns(node2), 30_000);
  // Longer than any ADD that does not wait, shorter than the 10 s that one waits.
  await Bun.sleep(3000);
  expect(await pluginRuns(node2)).toBe(true);
  expect(await kubectl.text(["get", "pod", "first-node1", "-o", "jsonpath={.spec.nodeName}"])).toBe("");

  await cluster.giveSubnets();
  await createPods(kubectl, pods);
  await cluster.nodesReady();
  await daemonsReady(cluster);
  expect(await ready(cluster, node1)).toMatchObject({ status: "True" });
}

/** The node's condition Ready. */
async function ready(
  { kubectl }: RealCluster,
  { name }: RealNode,
): Promise<{ readonly status: string; readonly message: string }> {
  const conditions = (await kubectl.get("node", name)).field("status").field("conditions").list();
  const condition = conditions.find((item) => item.field("type").string() === "Ready");
  return {
    status: condition?.field("status").string() ?? "",
    message: condition?.field("message").string() ?? "",
  };
}

/** True while a plugin is at work on the node, whose processes are named after the file that was executed. */
async function pluginRuns(node: RealNode): Promise<boolean> {
  const { exitCode } = await node.run(["pgrep", "--exact", "flannel"], { exitCode: "any" });
  return exitCode === 0;
}

async function has(node: RealNode, directory: string, name: string): Promise<boolean> {
  return (await node.list(directory)).includes(name);
}

/** flanneld over Node objects of a real API server: what it publishes, follows, and lives through. */
import { afterAll, beforeAll, expect, test } from "bun:test";

import type { ClusterNode } from "../helpers/cluster.ts";
import { rm } from "node:fs/promises";

import { leaseText } from "../helpers/lease-store.ts";
import { eventually } from "../helpers/eventually.ts";
import { createKubeCluster, type KubeCluster, kubeClusterNeeds } from "../helpers/kube-cluster.ts";
import { describeWith } from "../helpers/require.ts";
import { waitUntil } from "../helpers/wait-until.ts";

/** The lines of a node's state about the peer whose subnet has this third byte. */
async function linesOf(node: ClusterNode, third: number): Promise<readonly string[]> {
  const overlay = await node.overlay();
  const mac = overlay
    .map((line) => new RegExp(`^neigh 10\\.244\\.${third}\\.0 lladdr (.*)$`).exec(line)?.[1])
    .find(Boolean);
  return overlay.filter((line) => line.includes(` 10.244.${third}.0`) || (mac !== undefined && line.includes(mac)));
}

const prefix = "flannel.alpha.coreos.com";
/** flannel's words (pkg/subnet/kube/kube.go), and all that it sets. */
const upstreamCondition =
  "False FlannelIsUp: Flannel is running on this node " +
  "(lastHeartbeatTime lastTransitionTime message reason status type)";

await describeWith(kubeClusterNeeds, "flanneld with Kubernetes", () => {
  let kube: KubeCluster;
  let left: ClusterNode;
  let right: ClusterNode;
  beforeAll(async () => {
    kube = await createKubeCluster(2);
    [left, right] = [kube.node(1), kube.node(2)];
  });
  afterAll(async () => {
    await kube[Symbol.asyncDispose]();
  });

  test("waits for a pod CIDR, then publishes what upstream publishes, and sets the condition", async () => {
    await kube.store.createNode("node1", "");
    kube.start(left);
    await left.logged(/node "node1" pod cidr not assigned/);
    expect(left.log).not.toContain("was not read yet");
    expect((await left.readiness("/healthz")).status).toBe(200);
    expect((await left.readiness()).status).toBe(503);
    await kube.store.assign("node1", "10.244.1.0/24");
    await left.daemon.waitUntil("the daemon is ready", async () => (await left.readiness()).status === 200);
    await waitUntil("the condition is set", async () => (await kube.store.node("node1")).condition !== undefined);
    const { annotations, condition } = await kube.store.node("node1");
    const mac = /VTEP MAC (\S+)/.exec(left.log)?.[1] ?? "";
    expect(annotations).toEqual({
      [`${prefix}/kube-subnet-manager`]: "true",
      [`${prefix}/backend-type`]: "vxlan",
      [`${prefix}/backend-data`]: `{"VNI":1,"VtepMAC":"${mac}"}`,
      [`${prefix}/public-ip`]: "192.168.1.1",
    });
    expect(condition).toBe(upstreamCondition);
    expect(await Bun.file(left.subnetFile).text()).toBe(
      "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n",
    );
  });

  test("joins another node, and packets go both ways", async () => {
    await kube.register(right);
    await kube.startReady(right);
    await waitUntil("the ping comes back", () => left.pings("10.244.2.0"));
    expect(await right.pings("10.244.1.0")).toBe(true);
  });

  test("keeps its MAC when it starts again without its device", async () => {
    const before = await left.overlay();
    await left.daemon.stop();
    await left.netns.ip("link", "delete", "flannel.1");
    await kube.startReady(left);
    expect(await eventually(() => left.overlay(), before)).toEqual(before);
  });

  test("publishes the address that an administrator asks for, and the detected one again afterwards", async () => {
    // Scenario 27 of upstream's functional tests; there it takes a restart.
    await kube.store.annotate("node1", { [`${prefix}/public-ip-overwrite`]: "172.16.9.9" });
    await publishes("node1", { "public-ip": "172.16.9.9" });
    await waitUntil("the peer follows", async () => (await right.overlay()).join().includes("dst 172.16.9.9"));
    expect((await left.netns.ip("-d", "link", "show", "flannel.1")).stdout).toContain("local 192.168.1.1 ");
    await kube.store.annotate("node1", { [`${prefix}/public-ip-overwrite`]: null });
    await publishes("node1", { "public-ip": "192.168.1.1" });
    await left.netns.ip("address", "add", "192.168.1.77/24", "dev", "eth0");
    await kube.store.annotate("node1", { [`${prefix}/node-public-ip`]: "192.168.1.77" });
    await publishes("node1", { "public-ip": "192.168.1.77" });
    await kube.store.annotate("node1", { [`${prefix}/node-public-ip`]: "not an address" });
    await left.logged(/Cannot use annotation node-public-ip of this node: "not an address"/);
    await publishes("node1", { "public-ip": "192.168.1.1" });
    await kube.store.annotate("node1", { [`${prefix}/node-public-ip`]: null });
    await waitUntil("the ping comes back", () => left.pings("10.244.2.0"));
  });

  test("puts right what somebody else writes into its own object", async () => {
    const { annotations } = await kube.store.node("node1");
    await kube.store.annotate("node1", { [`${prefix}/public-ip`]: "9.9.9.9" });
    await publishes("node1", { "public-ip": "192.168.1.1" });
    await kube.store.annotate("node1", { [`${prefix}/kube-subnet-manager`]: null });
    await publishes("node1", { "kube-subnet-manager": "true" });
    await kube.store.annotate("node1", { [`${prefix}/backend-data`]: "{", [`${prefix}/public-ip`]: null });
    await publishes("node1", { "public-ip": "192.168.1.1" });
    expect((await kube.store.node("node1")).annotations).toEqual(annotations);
    await kube.store.denyNetwork("node1");
    // Long before the look that comes without any event.
    await waitUntil("the condition is back", async () => (await condition()) === upstreamCondition);

    async function condition(): Promise<string | undefined> {
      return (await kube.store.node("node1")).condition;
    }
  });

  test("follows every change of another node", async () => {
    const alone = await left.overlay();
    await kube.store.writeLease("10.244.40.0-24", leaseText("192.168.1.40", 0x28));
    const first = [
      "fdb 5a:00:00:00:00:28 dst 192.168.1.40 permanent,self",
      "neigh 10.244.40.0 lladdr 5a:00:00:00:00:28",
      "route 10.244.40.0/24 via 10.244.40.0 proto 102 onlink",
    ];
    expect(await eventually(() => linesOf(left, 40), first)).toEqual(first);
    await kube.store.annotate("10.244.40.0-24", { [`${prefix}/public-ip`]: "192.168.1.41" });
    const moved = first.map((line) => line.replace("dst 192.168.1.40", "dst 192.168.1.41"));
    expect(await eventually(() => linesOf(left, 40), moved)).toEqual(moved);
    const data = '{"VNI":1,"VtepMAC":"5a:00:00:00:00:29"}';
    await kube.store.annotate("10.244.40.0-24", { [`${prefix}/backend-data`]: data });
    const renewed = moved.map((line) => line.replace("00:28", "00:29"));
    expect(await eventually(() => linesOf(left, 40), renewed)).toEqual(renewed);
    await kube.store.annotate("10.244.40.0-24", { [`${prefix}/kube-subnet-manager`]: null });
    expect(await eventually(() => left.overlay(), alone)).toEqual(alone);
    await kube.store.annotate("10.244.40.0-24", { [`${prefix}/kube-subnet-manager`]: "true" });
    expect(await eventually(() => linesOf(left, 40), renewed)).toEqual(renewed);
    // A pod CIDR never changes but by a new object of the same name.
    await kube.store.deleteNode("10.244.40.0-24");
    const { annotations } = await kube.store.node("node2");
    await kube.store.createNode("10.244.40.0-24", "10.244.41.0/24", {
      ...annotations,
      [`${prefix}/public-ip`]: "192.168.1.41",
      [`${prefix}/backend-data`]: data,
    });
    const other = renewed.map((line) => line.replaceAll("10.244.40.", "10.244.41."));
    expect(await eventually(() => linesOf(left, 41), other)).toEqual(other);
    await kube.store.deleteNode("10.244.40.0-24");
    expect(await eventually(() => left.overlay(), alone)).toEqual(alone);
  });

  test("lives on without the API server, also when it is killed and started again", async () => {
    const before = await left.overlay();
    await Bun.sleep(6000);
    await kube.server.stop();
    await left.logged(/Kubernetes cannot be read, what was last read stays in force/);
    expect(await left.overlay()).toEqual(before);
    expect((await left.readiness()).status).toBe(200);
    await left.daemon.stop("SIGKILL");
    expect(await left.overlay()).toEqual(before);
    await kube.startReady(left);
    expect(await left.overlay()).toEqual(before);
    expect(await left.pings("10.244.2.0")).toBe(true);
  });

  test("brings a node back that was rebooted without the API server, from what it kept", async () => {
    const before = await left.overlay();
    await left.daemon.stop("SIGKILL");
    await left.netns.ip("link", "delete", "flannel.1");
    await rm(left.subnetFile);
    await kube.startReady(left);
    expect(await left.overlay()).toEqual(before);
    expect(await Bun.file(left.subnetFile).text()).toContain("FLANNEL_SUBNET=10.244.1.1/24\n");
    expect(await left.pings("10.244.2.0")).toBe(true);
    // What is not among what was kept is left alone until all nodes are known.
    await left.netns.ip(
      "route",
      "add",
      "10.244.99.0/24",
      "via",
      "10.244.99.0",
      "dev",
      "flannel.1",
      "onlink",
      "proto",
      "102",
    );
    await Bun.sleep(1000);
    expect((await left.overlay()).join()).toContain("10.244.99.0/24");
  });

  test("follows again when the API server is back, with what was deleted meanwhile", async () => {
    const kept = (await left.overlay()).filter((line) => !line.includes("10.244.99.0"));
    await kube.server.start();
    await kube.store.writeLease("10.244.50.0-24", leaseText("192.168.1.50", 0x32));
    await waitUntil("the new peer is there", async () => (await linesOf(left, 50)).length === 3, 40_000);
    await kube.store.removeLease("10.244.50.0-24");
    expect(await eventually(() => left.overlay(), kept)).toEqual(kept);
    await waitUntil("the log says so", () => /Kubernetes can be read again/.test(left.log));
  });

  test("stays where its object is deleted, and publishes again when it is back", async () => {
    const before = await left.overlay();
    await kube.store.deleteNode("node1");
    await left.logged(/node "node1" not found/);
    expect(await left.overlay()).toEqual(before);
    await kube.register(left);
    await publishes("node1", { "public-ip": "192.168.1.1" });
    await waitUntil("the condition is set", async () => (await kube.store.node("node1")).condition !== undefined);
    expect(await eventually(() => left.overlay(), before)).toEqual(before);
  });

  test("ends for another pod CIDR, which a new process takes", async () => {
    await kube.store.deleteNode("node1");
    await kube.store.createNode("node1", "10.244.9.0/24");
    expect(await left.daemon.ended).toBe(1);
    expect(left.log).toContain("restart flanneld to take another");
    await kube.startReady(left);
    await waitUntil("the peer follows", async () => (await linesOf(right, 9)).length === 3);
    expect((await right.overlay()).join()).not.toContain("10.244.1.0");
  });

  async function publishes(name: string, wanted: Readonly<Record<string, string>>): Promise<void> {
    const named = Object.fromEntries(Object.entries(wanted).map(([key, value]) => [`${prefix}/${key}`, value]));
    await waitUntil(`${name} publishes ${JSON.stringify(wanted)}`, async () => {
      const { annotations } = await kube.store.node(name);
      return Object.entries(named).every(([key, value]) => annotations[key] === value);
    });
  }
});

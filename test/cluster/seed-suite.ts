import { expect, test } from "bun:test";
import { existsSync } from "node:fs";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { listAddresses, listLinks } from "../helpers/kernel.ts";
import { findResult } from "./node-state.ts";
import { startCapture } from "./capture.ts";
import { createPods, deletePods, pingFrom } from "./pods.ts";
import type { PodSpec, PodState } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";
import type { RealNode } from "./cluster-node.ts";

/** The pods of the document that the project was created from. */
const first: PodSpec = { name: "alpine-node1", node: "node1" };
const second: PodSpec = { name: "alpine-node1-2nd", node: "node1" };
const other: PodSpec = { name: "alpine-node2", node: "node2" };

const testTimeoutMs = 120_000;

/** The walk of that document, §3.2 to §5, on a cluster that has the network. */
export function seedSuite(cluster: () => RealCluster): void {
  test("the manifest makes what flannel's makes, under the same names", () => checkObjects(cluster()), testTimeoutMs);
  test("the daemon leaves its subnet and its device on each node", () => checkDaemons(cluster()), testTimeoutMs);
  test("a pod placed by nodeSelector has its network from the node's subnet", () => checkPod(cluster()), testTimeoutMs);
  test("pods of one node ping each other over the bridge", () => checkSameNode(cluster()), testTimeoutMs);
  test("pods of two nodes ping each other inside VXLAN", () => checkCrossNode(cluster()), testTimeoutMs);
}

/** §3.2: the namespace, the account and its rights, the configuration, the pods of the daemon. */
async function checkObjects({ kubectl, nodes }: RealCluster): Promise<void> {
  const namespace = await kubectl.get("namespace", "kube-flannel");
  const labels = namespace.field("metadata").field("labels");
  expect(labels.field("pod-security.kubernetes.io/enforce").string()).toBe("privileged");
  await kubectl.get("serviceaccount", "flannel", "-n", "kube-flannel");
  await kubectl.get("clusterrole", "flannel");
  const binding = await kubectl.get("clusterrolebinding", "flannel");
  expect(binding.field("subjects").list()[0]?.field("name").string()).toBe("flannel");
  const config = (await kubectl.get("configmap", "kube-flannel-cfg", "-n", "kube-flannel")).field("data");
  const network = new Decoder(parseJson(config.field("net-conf.json").string() ?? ""));
  expect(network.field("Network").string()).toBe("10.244.0.0/16");
  expect(network.field("Backend").field("Type").string()).toBe("vxlan");
  expect(config.field("cni-conf.json").string()).toContain("cbr0");

  const daemons = await kubectl.get("daemonset", "kube-flannel-ds", "-n", "kube-flannel");
  expect(daemons.field("status").field("numberReady").integer()).toBe(nodes.length);
  const pods = await kubectl.get("pods", "-n", "kube-flannel", "-l", "app=flannel");
  for (const pod of pods.field("items").list()) {
    const spec = pod.field("spec");
    expect(spec.field("hostNetwork").boolean()).toBe(true);
    expect(containerNames(spec.field("initContainers"))).toEqual(["install-cni-plugin", "install-cni"]);
    expect(containerNames(spec.field("containers"))).toEqual(["kube-flannel"]);
    const [container] = spec.field("containers").list();
    const words = [...(container?.field("command").list() ?? []), ...(container?.field("args").list() ?? [])];
    expect(words.map((word) => word.string())).toContainValues(["--ip-masq", "--kube-subnet-mgr"]);
    const mounts = container?.field("volumeMounts").list() ?? [];
    expect(mounts.map((mount) => mount.field("mountPath").string())).toContain("/run/flannel");
  }
}

function containerNames(containers: Decoder): readonly string[] {
  return containers.list().map((container) => container.field("name").string() ?? "");
}

/** §3.3.1: what `ps`, `ifconfig flannel.1` and `cat /run/flannel/subnet.env` show. */
async function checkDaemons(cluster: RealCluster): Promise<void> {
  for (const node of cluster.nodes) {
    const subnet = await nodeSubnet(cluster, node);
    const { stdout } = await node.run(["ps", "-e", "-o", "args"]);
    expect(stdout).toMatch(/flanneld .*--ip-masq .*--kube-subnet-mgr/);
    expect((await node.read("run/flannel/subnet.env")).trim().split("\n")).toEqual([
      "FLANNEL_NETWORK=10.244.0.0/16",
      `FLANNEL_SUBNET=${subnet}.1/24`,
      "FLANNEL_MTU=1450",
      "FLANNEL_IPMASQ=true",
    ]);
    const device = (await listLinks(node.netns)).find(({ name }) => name === "flannel.1");
    expect(device).toMatchObject({ kind: "vxlan", mtu: 1450, up: true });
    expect(await addressesOf(node, "flannel.1")).toEqual([`${subnet}.0/32`]);
  }
}

/** §3.3.2 to §3.3.5: the pod, its namespace, cni0 and its veth, the runtime's file, host-local's file. */
async function checkPod(cluster: RealCluster): Promise<void> {
  const node = cluster.node(1);
  const subnet = await nodeSubnet(cluster, node);
  const [pod] = await createPods(cluster.kubectl, [first]);
  expect(pod).toMatchObject({ node: "node1", phase: "Running" });
  expect(pod?.address).toStartWith(`${subnet}.`);

  const result = await findResult(node, first.name);
  expect(result.file).toBe(`cbr0-${result.containerId}-eth0`);
  expect(result.networkName).toBe("cbr0");
  expect(result.interfaces).toEqual(["cni0", expect.stringMatching(/^veth/), "eth0"]);
  expect(result.address).toBe(`${pod?.address}/24`);
  expect(result.sandbox).toMatch(/^\/var\/run\/netns\/cni-[0-9a-f-]+$/);
  expect(existsSync(node.machine.path(result.sandbox.replace("/var/", "")))).toBe(true);
  const { stdout: inside } = await node.run(["nsenter", `--net=${result.sandbox}`, "ip", "addr", "show", "eth0"]);
  expect(inside).toMatch(/eth0@if\d+: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450/);
  expect(inside).toContain(`inet ${pod?.address}/24 brd ${subnet}.255 scope global eth0`);

  const links = await listLinks(node.netns);
  expect(links.find(({ name }) => name === "cni0")).toMatchObject({ kind: "bridge", mtu: 1450, up: true });
  expect(await addressesOf(node, "cni0")).toEqual([`${subnet}.1/24`]);
  const veth = links.find(({ name }) => name === result.interfaces[1]);
  expect(veth).toMatchObject({ kind: "veth", mtu: 1450, up: true, master: "cni0" });
  const reserved = await node.read(`var/lib/cni/networks/cbr0/${pod?.address}`);
  expect(reserved.split(/\r?\n/)).toEqual([result.containerId, "eth0"]);
}

/** §4: no router on the way, and both packets on cni0. */
async function checkSameNode(cluster: RealCluster): Promise<void> {
  const { kubectl } = cluster;
  const [from, to] = await createPods(kubectl, [first, second]);
  await using capture = await startCapture(cluster.node(1), "cni0", "icmp");
  const reply = await pingFrom(kubectl, first.name, to?.address ?? "");
  expect(reply).toContain("ttl=64");
  expect(reply).toContain("1 packets transmitted, 1 received, 0% packet loss");
  await capture.shows(echo("request", from, to), echo("reply", to, from));
}

/** §5: two routers on the way; the packets on flannel.1, and on the wire the same inside UDP between the nodes. */
async function checkCrossNode(cluster: RealCluster): Promise<void> {
  const { kubectl } = cluster;
  const [from, to] = await createPods(kubectl, [first, other]);
  expect(to?.node).toBe("node2");
  await using inside = await startCapture(cluster.node(1), "flannel.1", "icmp");
  await using outside = await startCapture(cluster.node(2), "eth0", "udp port 8472");
  const reply = await pingFrom(kubectl, first.name, to?.address ?? "");
  expect(reply).toContain("ttl=62");
  expect(reply).toContain("1 packets transmitted, 1 received, 0% packet loss");
  const packets = await inside.shows(echo("request", from, to), echo("reply", to, from));
  // Each node's bridge has been a hop.
  expect(packets.match(/ttl 63/g)).toHaveLength(2);
  const [here, there] = [cluster.node(1).address, cluster.node(2).address];
  await outside.shows(
    new RegExp(`${here}\\.\\d+ > ${there}\\.8472: OTV, flags \\[I\\] \\(0x08\\), overlay 0, instance 1`),
    echo("request", from, to),
    echo("reply", to, from),
  );
  await deletePods(kubectl, [first, second, other]);
}

/** As tcpdump shows one half of a ping. */
function echo(kind: "reply" | "request", from: PodState | undefined, to: PodState | undefined): RegExp {
  return new RegExp(`${from?.address} > ${to?.address}: ICMP echo ${kind}`);
}

async function addressesOf(node: RealNode, device: string): Promise<readonly string[]> {
  const addresses = await listAddresses(node.netns);
  return addresses.filter((address) => address.device === device).map(({ address }) => address);
}

/** The first three numbers of a node's subnet, as the controller manager gave it. */
async function nodeSubnet({ kubectl }: RealCluster, node: RealNode): Promise<string> {
  const cidr = (await kubectl.get("node", node.name)).field("spec").field("podCIDR").string() ?? "";
  return cidr.replace(/\.0\/24$/, "");
}

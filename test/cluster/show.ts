import { Decoder, parseJson } from "../../src/base/decode.ts";
import { startCapture } from "./capture.ts";
import type { RealNode } from "./cluster-node.ts";
import { findResult } from "./node-state.ts";
import { createPods } from "./pods.ts";
import type { PodSpec, PodState } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

type Say = (text: string) => void;

/** The pods that are shown. */
export const walkPods: readonly PodSpec[] = [
  { name: "alpine-node1", node: "node1" },
  { name: "alpine-node1-2nd", node: "node1" },
  { name: "alpine-node2", node: "node2" },
];

/** Makes three pods and shows, command by command, how they are joined. */
export async function showNetwork(cluster: RealCluster, say: Say): Promise<void> {
  const [first, second, other] = await createPods(cluster.kubectl, walkPods);
  if (first === undefined || second === undefined || other === undefined) return;
  await showCluster(cluster, say);
  await showNode(cluster.node(1), say);
  await showPod(cluster.node(1), first, say);
  await showPing(cluster, { from: first, to: second, device: "cni0", filter: "icmp" }, say);
  await showPing(cluster, { from: first, to: other, device: "flannel.1", filter: "icmp" }, say);
  await showPing(cluster, { from: first, to: other, device: "eth0", filter: "udp port 8472" }, say);
}

async function showCluster({ kubectl }: RealCluster, say: Say): Promise<void> {
  for (const words of [
    ["get", "nodes", "-o", "wide"],
    ["get", "pods", "-A", "-o", "wide"],
  ]) {
    say(`\n$ kubectl ${words.join(" ")}\n${await kubectl.text(words)}`);
  }
}

async function showNode(node: RealNode, say: Say): Promise<void> {
  for (const command of [
    "pgrep -af flanneld",
    "cat /run/flannel/subnet.env",
    "ls -l /opt/cni/bin",
    "ip addr show flannel.1",
    "ip addr show cni0",
    "ip route",
  ]) {
    await showCommand(node, command, say);
  }
}

async function showPod(node: RealNode, pod: PodState, say: Say): Promise<void> {
  const result = await findResult(node, pod.name);
  await showCommand(node, `ls ${result.sandbox}`, say);
  await showCommand(node, `nsenter --net=${result.sandbox} ip addr show`, say);
  await showCommand(node, `ip addr show ${result.interfaces[1] ?? ""}`, say);
  await showResult(node, `/var/lib/cni/results/${result.file}`, say);
  await showCommand(node, `cat /var/lib/cni/networks/cbr0/${pod.address}`, say);
}

/** What of the runtime's file is for people: the rest is the configuration, encoded. */
async function showResult(node: RealNode, path: string, say: Say): Promise<void> {
  const file = new Decoder(parseJson(await node.read(path)));
  const result = file.field("result");
  const shown = {
    networkName: file.field("networkName").value,
    interfaces: result.field("interfaces").value,
    ips: result.field("ips").value,
  };
  const filter = "'{networkName, interfaces: .result.interfaces, ips: .result.ips}'";
  say(`\n[${node.name}]# jq ${filter} ${path}\n${JSON.stringify(shown, undefined, 2)}`);
}

async function showPing(
  cluster: RealCluster,
  ping: { readonly from: PodState; readonly to: PodState; readonly device: string; readonly filter: string },
  say: Say,
): Promise<void> {
  await using capture = await startCapture(cluster.node(1), ping.device, ping.filter);
  const words = ["exec", ping.from.name, "--", "ping", "-c", "1", ping.to.address];
  say(`\n$ kubectl ${words.join(" ")}\n${await cluster.kubectl.text(words)}`);
  say(`\n[node1]# tcpdump -i ${ping.device} ${ping.filter}\n${(await capture.shows(/echo reply/)).trimEnd()}`);
}

async function showCommand(node: RealNode, command: string, say: Say): Promise<void> {
  const { stdout, stderr } = await node.run(command.split(" "), { exitCode: "any" });
  say(`\n[${node.name}]# ${command}\n${(stdout + stderr).trimEnd()}`);
}

import { expect, test } from "bun:test";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { executablePath } from "../helpers/executable.ts";
import { peerProgram } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import { daemonsReady, ownManifest, upstreamManifest } from "./flannel.ts";
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
import type { RealNode } from "./cluster-node.ts";
import { createPods, deletePods } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

const testTimeoutMs = 300_000;

/** One of the two whole files, with what a node has of it. */
interface WholeFile {
  readonly manifest: (network: string) => Promise<string>;
  /** The plugins of its conflist. */
  readonly plugins: readonly string[];
  /** A file that is the same as the plugin in /opt/cni/bin. */
  readonly flannel: string;
}

/** What is left on a node of pods that the plugins of one file made and those of the other deleted. */
export interface Remains {
  readonly traces: RegExp;
  /** What removes it. */
  readonly command: readonly string[];
}

const own: WholeFile = { manifest: ownManifest, plugins: ["flannel"], flannel: executablePath };
const upstream: WholeFile = {
  manifest: upstreamManifest,
  plugins: ["flannel", "portmap"],
  flannel: peerProgram("flannel-cni", "flannel"),
};

/** The move by our whole file, ConfigMap included, on a cluster that has upstream's. */
export function wholeSuite(cluster: () => RealCluster): void {
  test(
    "our whole manifest takes the place of upstream's, with pods of two plugins, which one then deletes",
    () => move(cluster(), upstream, own),
    testTimeoutMs,
  );
}

/** The move back by upstream's whole file, on a cluster that has ours; with what that leaves, if anything. */
export function returnSuite(cluster: () => RealCluster, remains?: Remains): void {
  test(
    "upstream's whole manifest takes the place of ours, with pods of one plugin, which two then delete",
    () => move(cluster(), own, upstream, remains),
    testTimeoutMs,
  );
}

/** By the rolling update that a user gets. */
async function move(cluster: RealCluster, from: WholeFile, to: WholeFile, remains?: Remains): Promise<void> {
  const { kubectl } = cluster;
  await nodesHave(cluster, from);
  const before = await listAllTraces(cluster);
  const strategy = JSON.stringify({ spec: { updateStrategy: { type: "RollingUpdate" } } });
  await kubectl.run(["patch", "daemonset/kube-flannel-ds", "-n", "kube-flannel", "-p", strategy]);
  await using pings = await startPings(cluster, "whole");
  await kubectl.applyText(await to.manifest(cluster.podNetwork));
  await daemonsReady(cluster);
  await Bun.sleep(lateMs);
  await nodesHave(cluster, to);
  await checkHostPort(cluster, "whole");
  expectNoLoss(await pings.stop());
  await checkNewPods(cluster, "new");
  await deletePods(kubectl, standingPods("whole"));
  // The host port is given away again, whatever the former pod has left.
  await createPods(kubectl, standingPods("again"));
  await checkHostPort(cluster, "again");
  await deletePods(kubectl, standingPods("again"));
  if (remains !== undefined) await removeRemains(cluster, before, remains);
  await nothingLeft(cluster, before);
}

async function removeRemains(cluster: RealCluster, before: readonly string[], remains: Remains): Promise<void> {
  async function left(): Promise<readonly string[]> {
    return (await listAllTraces(cluster)).filter((trace) => !before.includes(trace));
  }

  await waitUntil("all else is gone", async () => (await left()).every((trace) => remains.traces.test(trace)), 30_000);
  expect(await left()).not.toEqual([]);
  for (const node of cluster.nodes) await node.run(remains.command);
}

async function nodesHave({ nodes }: RealCluster, { plugins, flannel }: WholeFile): Promise<void> {
  for (const node of nodes) {
    const list = new Decoder(parseJson(await node.read("etc/cni/net.d/10-flannel.conflist"))).field("plugins").list();
    expect(list.map((plugin) => plugin.field("type").string() ?? "")).toEqual([...plugins]);
    await expectPlugin(node, flannel);
  }
}

/** Fails unless the node's flannel is this file, and says which each of them is. */
async function expectPlugin(node: RealNode, file: string): Promise<void> {
  const installed = "/opt/cni/bin/flannel";
  const { exitCode } = await node.run(["cmp", "--silent", file, installed], { exitCode: "any" });
  if (exitCode === 0) return;
  const [wanted, found] = [await aboutPlugin(node, file), await aboutPlugin(node, installed)];
  throw new Error(
    `${node.name} has another ${installed} than ${file}: ${found}, wanted ${wanted}. The image is built anew for the test: ` +
      "when the tree has changed since dist/tartan was built, if only by an untracked file (-dirty), build that again",
  );
}

async function aboutPlugin(node: RealNode, path: string): Promise<string> {
  const { stdout, stderr } = await node.run(["env", "CNI_COMMAND=", path], { exitCode: "any" });
  return `"${(stderr + stdout).split("\n", 1)[0] ?? ""}"`;
}

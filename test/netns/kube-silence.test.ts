/** That a watch which tells nothing any more is noticed: by a node whose link is cut, and by one whose server hangs. */
import { expect, test } from "bun:test";

import type { ClusterNode } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { createKubeCluster, kubeClusterNeeds } from "../helpers/kube-cluster.ts";
import { leaseText } from "../helpers/lease-store.ts";
import { describeWith } from "../helpers/require.ts";

async function routesOf(node: ClusterNode): Promise<readonly string[]> {
  const lines = await node.overlay();
  return lines.flatMap((line) => /^route (\S+)/.exec(line)?.[1] ?? []);
}

await describeWith(kubeClusterNeeds, "flanneld notices", () => {
  test("a cut link within 35 s and a hanging API server within 100 s, and loses nothing by it", async () => {
    await using kube = await createKubeCluster(2);
    const [cut, waiting] = [kube.node(1), kube.node(2)];
    for (const node of [cut, waiting]) await kube.register(node);
    for (const node of [cut, waiting]) await kube.startReady(node);
    await kube.store.writeLease("10.244.41.0-24", leaseText("192.168.1.41", 0x29));
    const gone = "10.244.41.0/24";
    const ofCut = ["10.244.2.0/24", gone];
    const ofWaiting = ["10.244.1.0/24", gone];
    expect(await eventually(() => routesOf(cut), ofCut)).toEqual(ofCut);
    expect(await eventually(() => routesOf(waiting), ofWaiting)).toEqual(ofWaiting);
    // Packets are lost without a word: the devices stay up on both ends.
    await kube.cluster.wire.ip("link", "set", "port1", "nomaster");
    const cutAt = performance.now();
    // What the cut node does not hear of, it has to learn afterwards.
    await kube.store.writeLease("10.244.40.0-24", leaseText("192.168.1.40", 0x28));
    await kube.store.removeLease("10.244.41.0-24");
    const ofWaitingThen = ["10.244.1.0/24", "10.244.40.0/24"];
    expect(await eventually(() => routesOf(waiting), ofWaitingThen)).toEqual(ofWaitingThen);
    expect(await routesOf(cut)).toEqual(ofCut);
    kube.server.process.signal("SIGSTOP");
    const began = performance.now();
    await cut.logged(/Kubernetes cannot be read, what was last read stays in force/, 100_000);
    const cutAfter = performance.now() - cutAt;
    await waiting.logged(/Kubernetes cannot be read, what was last read stays in force: .* silence for 80 s/, 110_000);
    const silentAfter = performance.now() - began;
    kube.server.process.signal("SIGCONT");
    await kube.cluster.wire.ip("link", "set", "port1", "master", "br0");
    expect(cutAfter).toBeLessThan(35_000);
    expect(silentAfter).toBeLessThan(100_000);
    for (const node of [cut, waiting]) await node.logged(/Kubernetes can be read again/, 60_000);
    const ofCutThen = ["10.244.2.0/24", "10.244.40.0/24"];
    expect(await eventually(() => routesOf(cut), ofCutThen)).toEqual(ofCutThen);
    expect(await routesOf(waiting)).toEqual(ofWaitingThen);
  }, 240_000);
});

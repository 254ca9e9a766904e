import { afterAll, beforeAll, expect, test } from "bun:test";

import { churnSuite } from "../cluster/churn-suite.ts";
import { dnsManifests } from "../cluster/dns.ts";
import { firstPods, noSandboxFailed, runtimesAsMade } from "../cluster/first-pods.ts";
import { daemonsReady, installOwn, ownManifest } from "../cluster/flannel.ts";
import { lifeSuite } from "../cluster/life-suite.ts";
import { createPods, deletePods, podManifest } from "../cluster/pods.ts";
import { clusterRequirements, createRealCluster } from "../cluster/real-cluster.ts";
import type { RealCluster } from "../cluster/real-cluster.ts";
import { seedSuite } from "../cluster/seed-suite.ts";
import { showNetwork, walkPods } from "../cluster/show.ts";
import { serviceSuite } from "../cluster/service-suite.ts";
import { buildImage, thisArchitecture } from "../helpers/image.ts";
import { describeWith } from "../helpers/require.ts";

const setupTimeoutMs = 240_000;

await describeWith(clusterRequirements, "a cluster with our image and manifest, kube-proxy with nftables", () => {
  let made: RealCluster | undefined;

  function cluster(): RealCluster {
    if (made === undefined) throw new Error("Cannot use the cluster: it did not come up");
    return made;
  }

  beforeAll(async () => {
    const { path } = await buildImage(thisArchitecture);
    // Both versions of the runtime, one on each node.
    made = await createRealCluster({ nodes: ["2.2", "distribution"], proxyMode: "nftables", archives: [path] });
  }, setupTimeoutMs);

  afterAll(async () => {
    await made?.[Symbol.asyncDispose]();
  }, 60_000);

  test(
    "the API server takes the manifest, the nodes become ready, and no pod of theirs fails first",
    async () => {
      const { kubectl } = cluster();
      // Pods that wait for their nodes to become ready.
      const pods = firstPods(cluster());
      await kubectl.apply(...dnsManifests(), ...pods.map(podManifest));
      await installOwn(cluster());
      await cluster().nodesReady();
      await daemonsReady(cluster());
      await createPods(kubectl, pods);
      await kubectl.run(["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=90s"]);
      await noSandboxFailed(cluster());
      await deletePods(kubectl, pods);
    },
    setupTimeoutMs,
  );

  test("each node runs the containerd that it was made with", () => runtimesAsMade(cluster()), setupTimeoutMs);

  seedSuite(cluster);
  serviceSuite(cluster);
  test("the walk of npm run cluster shows the network", () => checkWalk(cluster()), setupTimeoutMs);
  lifeSuite(cluster);
  churnSuite(cluster);

  test(
    "the manifest and the files can be taken out again",
    async () => {
      const { kubectl, nodes } = cluster();
      await kubectl.run(["delete", "-f", "-", "--wait=true"], { stdin: await ownManifest() });
      for (const node of nodes) {
        // As README.md has it, and nothing before it.
        await node.run(["/opt/cni/bin/tartan", "uninstall"]);
        expect(await node.list("opt/cni/bin")).toEqual([]);
        expect(await node.list("etc/cni/net.d")).toEqual([]);
        expect(await node.list("var/lib/tartan")).toEqual([]);
      }
    },
    setupTimeoutMs,
  );
});

/** Whether what a person is shown is what it says is checked by the suites. */
async function checkWalk(cluster: RealCluster): Promise<void> {
  const shown: string[] = [];
  await showNetwork(cluster, (text) => shown.push(text));
  for (const wanted of [
    /^node1 +Ready .* containerd:\/\/2\.2/m,
    /flanneld .*--kube-subnet-mgr/,
    /FLANNEL_SUBNET=10\.244\.\d+\.1\/24/,
    /\d+: flannel\.1: .* mtu 1450/,
    /\d+: cni0: .* mtu 1450/,
    /"networkName": "cbr0"/,
    /ttl=64/,
    /ttl=62/,
    /\.8472: OTV/,
  ]) {
    expect(shown.join("\n")).toMatch(wanted);
  }
  await deletePods(cluster.kubectl, walkPods);
}

import { afterAll, beforeAll, expect, test } from "bun:test";

import { churnSuite } from "../cluster/churn-suite.ts";
import { dnsManifests } from "../cluster/dns.ts";
import { daemonsReady, installOwn, ownManifest } from "../cluster/flannel.ts";
import { lifeSuite } from "../cluster/life-suite.ts";
import { clusterRequirements, createRealCluster } from "../cluster/real-cluster.ts";
import type { RealCluster } from "../cluster/real-cluster.ts";
import { seedSuite } from "../cluster/seed-suite.ts";
import { serviceSuite } from "../cluster/service-suite.ts";
import { buildImage, thisArchitecture } from "../helpers/image.ts";
import { describeWith } from "../helpers/require.ts";

const ownExecutable = "/opt/cni/bin/tartan";
const events = ["get", "events", "-A", "-o", "name"] as const;
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
      await kubectl.apply(...dnsManifests());
      await installOwn(cluster());
      await cluster().nodesReady();
      await daemonsReady(cluster());
      await kubectl.run(["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=90s"]);
      expect(await kubectl.text([...events, "--field-selector", "reason=FailedCreatePodSandBox"])).toBe("");
    },
    setupTimeoutMs,
  );

  seedSuite(cluster);
  serviceSuite(cluster);
  lifeSuite(cluster);
  churnSuite(cluster);

  test(
    "the manifest and the files can be taken out again",
    async () => {
      const { kubectl, nodes } = cluster();
      await kubectl.run(["delete", "-f", "-", "--wait=true"], { stdin: await ownManifest() });
      for (const node of nodes) {
        await node.run([ownExecutable, "uninstall", "--rules", "--all"]);
        await node.run([ownExecutable, "uninstall"]);
        expect(await node.list("opt/cni/bin")).toEqual([]);
        expect(await node.list("etc/cni/net.d")).toEqual([]);
        expect(await node.list("var/lib/tartan")).toEqual([]);
      }
    },
    setupTimeoutMs,
  );
});

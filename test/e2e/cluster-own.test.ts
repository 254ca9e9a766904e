import { afterAll, beforeAll, expect, test } from "bun:test";

import { churnSuite } from "../cluster/churn-suite.ts";
import { daemonsReady, installOwn, ownManifest } from "../cluster/flannel.ts";
import { lifeSuite } from "../cluster/life-suite.ts";
import { clusterRequirements, createRealCluster } from "../cluster/real-cluster.ts";
import type { RealCluster } from "../cluster/real-cluster.ts";
import { seedSuite } from "../cluster/seed-suite.ts";
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
    "the API server accepts the manifest, and the nodes become ready",
    async () => {
      const { kubectl } = cluster();
      await kubectl.run(["apply", "--dry-run=client", "--validate=strict", "-f", "-"], { stdin: await ownManifest() });
      await installOwn(cluster());
      await cluster().nodesReady();
      await daemonsReady(cluster());
      const nodes = (await kubectl.get("nodes")).field("items").list();
      expect(nodes).toHaveLength(2);
    },
    setupTimeoutMs,
  );

  seedSuite(cluster);
  serviceSuite(cluster);
  lifeSuite(cluster);
  churnSuite(cluster);
});

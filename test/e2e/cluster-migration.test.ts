import { afterAll, beforeAll } from "bun:test";

import { daemonsReady, installUpstream } from "../cluster/flannel.ts";
import { flannelImage } from "../cluster/images.ts";
import { migrationSuite } from "../cluster/migration-suite.ts";
import { clusterRequirements, createRealCluster } from "../cluster/real-cluster.ts";
import type { RealCluster } from "../cluster/real-cluster.ts";
import { buildImage, thisArchitecture } from "../helpers/image.ts";
import { serviceSuite } from "../cluster/service-suite.ts";
import { returnSuite, wholeSuite } from "../cluster/whole-suite.ts";
import { describeWith } from "../helpers/require.ts";

const ownExecutable = "/opt/cni/bin/tartan";
const setupTimeoutMs = 240_000;
const requirements = [...clusterRequirements, "peer:cni-plugins", "peer:flannel-cni", "peer:flanneld"] as const;

await describeWith(requirements, "a cluster with upstream's flannel, kube-proxy with iptables", () => {
  let made: RealCluster | undefined;

  function cluster(): RealCluster {
    if (made === undefined) throw new Error("Cannot use the cluster: it did not come up");
    return made;
  }

  beforeAll(async () => {
    const archives = [(await buildImage(thisArchitecture)).path];
    const images = [await flannelImage()];
    made = await createRealCluster({
      nodes: ["2.2", "2.2"],
      proxyMode: "iptables",
      podNetwork: "10.42.0.0/16",
      images,
      archives,
    });
    await installUpstream(made);
    await made.nodesReady();
    await daemonsReady(made);
  }, setupTimeoutMs);

  afterAll(async () => {
    await made?.[Symbol.asyncDispose]();
  }, 60_000);

  migrationSuite(cluster);
  wholeSuite(cluster);
  serviceSuite(cluster);
  // The plugins beside flannel are the reference's, which know nothing of our table.
  returnSuite(cluster, { traces: /^node1: element /, command: [ownExecutable, "uninstall", "--rules"] });
});

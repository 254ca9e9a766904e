import { afterAll, beforeAll, test } from "bun:test";

import { runtimesAsMade } from "../cluster/first-pods.ts";
import { flannelImage } from "../cluster/images.ts";
import { joinSuite } from "../cluster/join-suite.ts";
import { clusterRequirements, createRealCluster } from "../cluster/real-cluster.ts";
import type { RealCluster } from "../cluster/real-cluster.ts";
import { buildImage, thisArchitecture } from "../helpers/image.ts";
import { returnSuite } from "../cluster/whole-suite.ts";
import { describeWith } from "../helpers/require.ts";

const setupTimeoutMs = 240_000;
const requirements = [...clusterRequirements, "peer:flannel-cni", "peer:flanneld"] as const;

await describeWith(requirements, "a cluster whose nodes get their subnets late", () => {
  let made: RealCluster | undefined;

  function cluster(): RealCluster {
    if (made === undefined) throw new Error("Cannot use the cluster: it did not come up");
    return made;
  }

  beforeAll(async () => {
    const archives = [(await buildImage(thisArchitecture)).path];
    const images = [await flannelImage()];
    const nodes = ["2.2", "distribution"] as const;
    made = await createRealCluster({ nodes, proxyMode: "iptables", subnetsLater: true, images, archives });
    await made.nodesRegistered();
  }, setupTimeoutMs);

  afterAll(async () => {
    await made?.[Symbol.asyncDispose]();
  }, 60_000);

  test("each node runs the containerd that it was made with", () => runtimesAsMade(cluster()), setupTimeoutMs);
  joinSuite(cluster);
  // Here the plugins beside upstream's flannel are ours, which leave nothing.
  returnSuite(cluster);
});

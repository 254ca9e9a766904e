/** flanneld over Node objects of a real API server: what it publishes, follows, and lives through. */
import { afterAll, beforeAll, expect, test } from "bun:test";

import type { ClusterNode } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { createKubeCluster, type KubeCluster } from "../helpers/kube-cluster.ts";
import { describeWith } from "../helpers/require.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const prefix = "flannel.alpha.coreos.com";

await describeWith(
  ["root", "executable", "link:vxlan", "peer:etcd", "peer:kubernetes"],
  "flanneld with Kubernetes",
  () => {
    let kube: KubeCluster;
    let left: ClusterNode;
    let right: ClusterNode;
    beforeAll(async () => {
      kube = await createKubeCluster(2);
      const [one, two] = kube.cluster.nodes;
      if (one === undefined || two === undefined) throw new Error("Cannot find the nodes");
      [left, right] = [one, two];
    });
    afterAll(async () => {
      await kube[Symbol.asyncDispose]();
    });

    test("waits for a pod CIDR, then publishes what upstream publishes, and sets the condition", async () => {
      await kube.store.createNode("node1", "");
      kube.start(left);
      await left.logged(/node "node1" pod cidr not assigned/);
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
      expect(condition).toBe("False FlannelIsUp");
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
  },
);

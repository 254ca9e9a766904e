/** How flanneld reaches the API server, and what it is beside the real flanneld. */
import { afterAll, beforeAll, expect, test } from "bun:test";

import { rm } from "node:fs/promises";

import { allow, apiAddress, apiPort, flannelToken, flannelUser, upstreamToken } from "../helpers/api-server.ts";
import type { ClusterNode } from "../helpers/cluster.ts";
import { createKubeCluster, type KubeCluster, kubeClusterNeeds } from "../helpers/kube-cluster.ts";
import { peerProgram } from "../helpers/peers.ts";
import { kubeconfigText } from "../helpers/kubeconfig.ts";
import { describeWith } from "../helpers/require.ts";
import { waitUntil } from "../helpers/wait-until.ts";

/** What every node has in another form, in one. */
function shape(text: string): string {
  return text.replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, "MAC").replace(/1\.\d$/, "1.N");
}

const execVersion = "client.authentication.k8s.io/v1";
const server = `https://${apiAddress}:${apiPort}`;

function giving(status: object): string {
  return `echo '${JSON.stringify({ apiVersion: execVersion, kind: "ExecCredential", status })}'`;
}

await describeWith([...kubeClusterNeeds, "peer:flanneld"], "flanneld and the API server", () => {
  let kube: KubeCluster;
  let left: ClusterNode;
  let right: ClusterNode;
  beforeAll(async () => {
    kube = await createKubeCluster(2);
    [left, right] = [kube.node(1), kube.node(2)];
    await kube.register(left);
    // flanneld v0.28.9 panics on a node without any annotation.
    await kube.register(right, { "example.com/any": "thing" });
    await kube.store.writeConfig('{"Network":"10.244.0.0/16","EnableNFTables":true,"Backend":{"Type":"vxlan"}}');
  });
  afterAll(async () => {
    await kube[Symbol.asyncDispose]();
  });

  /** A kubeconfig whose user and cluster have these members. */
  function kubeconfig(user: object, cluster: object = {}): Promise<string> {
    const ca = { "certificate-authority": kube.server.authority.own.certPath };
    return kube.cluster.directory.write("kubeconfig", kubeconfigText(user, { server, ...ca, ...cluster }));
  }

  /** Starts with a kubeconfig and without anything that a pod has, waits until it is ready, and ends. */
  async function works(path: string, flags: readonly string[] = []): Promise<string> {
    const env = { NODE_NAME: "node1" };
    const state = ["--state-dir", kube.cluster.directory.join("state")];
    const source = ["--kube-subnet-mgr", "--net-config-path", kube.store.netConfPath, ...state];
    await using daemon = left.startFrom(source, ["--kubeconfig-file", path, ...flags], { env });
    await daemon.waitUntil("the daemon is ready", async () => (await left.readiness()).status === 200);
    expect(await daemon.stop()).toBe(0);
    return daemon.stderr;
  }

  test("reads a kubeconfig with a client certificate", async () => {
    const { certPath, keyPath } = kube.server.admin;
    await works(await kubeconfig({ "client-certificate": certPath, "client-key": keyPath }));
  });

  test("reads a kubeconfig with a token, and one with a token in a file", async () => {
    await works(await kubeconfig({ token: flannelToken }));
    await works(await kubeconfig({ tokenFile: `${kube.account}/token` }));
  });

  /** A user with a plugin that notes each of its runs, and gives what the script says for `$count`, from 1 on. */
  async function pluginUser(script: string): Promise<{ readonly user: object; readonly runs: () => Promise<number> }> {
    const log = kube.cluster.directory.join("plugin.log");
    await rm(log, { force: true });
    const lines = ["#!/bin/sh", `echo run >> '${log}'`, `count=$(wc -l < '${log}')`, script, ""];
    const command = await kube.cluster.directory.write("plugin", lines.join("\n"), 0o755);
    const exec = { apiVersion: execVersion, command, interactiveMode: "Never" };
    return { user: { exec }, runs: async () => (await Bun.file(log).text()).split("\n").length - 1 };
  }

  test("asks a kubeconfig's plugin once for a token, and again when that ends or is refused", async () => {
    const lasting = await pluginUser(giving({ token: flannelToken }));
    await works(await kubeconfig(lasting.user));
    expect(await lasting.runs()).toBe(1);
    const over = { token: flannelToken, expirationTimestamp: "2020-01-01T00:00:00Z" };
    const ending = await pluginUser(giving(over));
    // Besides the watch there is then something to write.
    await kube.store.annotate("node1", { "flannel.alpha.coreos.com/public-ip": "192.168.1.77" });
    await works(await kubeconfig(ending.user));
    expect(await ending.runs()).toBeGreaterThan(1);
    const first = giving({ token: "stale" });
    const refused = await pluginUser(`if [ $count = 1 ]; then ${first}; else ${giving({ token: flannelToken })}; fi`);
    await works(await kubeconfig(refused.user));
    expect(await refused.runs()).toBe(2);
  });

  test("says why a kubeconfig's plugin gives nothing, waits, and goes on when it does", async () => {
    const { user } = await pluginUser("echo no card >&2; exit 3");
    const path = await kubeconfig(user);
    const source = ["--kube-subnet-mgr", "--net-config-path", kube.store.netConfPath];
    const flags = ["--state-dir", kube.cluster.directory.join("none"), "--kubeconfig-file", path];
    await using daemon = left.startFrom(source, flags, { env: { NODE_NAME: "node1" } });
    await left.logged(/Cannot use kubeconfig ".*": exit 1, Cannot use exec plugin ".*plugin": exit 3, no card/);
    await pluginUser(giving({ token: flannelToken }));
    await daemon.waitUntil("the daemon is ready", async () => (await left.readiness()).status === 200);
  });

  test("starts from what it kept while a kubeconfig's plugin fails or hangs, and says so", async () => {
    const state = kube.cluster.directory.join("plugin-state");
    const source = ["--kube-subnet-mgr", "--net-config-path", kube.store.netConfPath, "--state-dir", state];
    const env = { NODE_NAME: "node1" };
    const flags = ["--kubeconfig-file", await kubeconfig((await pluginUser(giving({ token: flannelToken }))).user)];
    {
      await using daemon = left.startFrom(source, flags, { env });
      await daemon.waitUntil("the nodes are kept", () => Bun.file(`${state}/kube-nodes`).exists(), 20_000);
    }
    for (const [script, line] of [
      ["echo no card >&2; exit 3", /exec plugin ".*plugin": exit 3, no card/],
      ["exec sleep 40", /kubeconfig ".*" has given no credentials for 5 s, and is waited for/],
    ] as const) {
      await pluginUser(script);
      const began = performance.now();
      await using daemon = left.startFrom(source, flags, { env });
      await daemon.waitUntil("the daemon is ready", async () => (await left.readiness()).status === 200);
      expect(performance.now() - began).toBeLessThan(8000);
      await left.logged(line);
    }
  }, 60_000);

  test("takes the URL of the flag in place of the kubeconfig's", async () => {
    const user = { token: flannelToken };
    await works(await kubeconfig(user, { server: "https://192.0.2.1:1" }), ["--kube-api-url", server]);
  });

  test("honours insecure-skip-tls-verify, and says so", async () => {
    const cluster = { "certificate-authority": undefined, "insecure-skip-tls-verify": true };
    const log = await works(await kubeconfig({ token: flannelToken }, cluster));
    expect(log).toContain("says insecure-skip-tls-verify: nobody checks who the API server is");
  });

  test("learns its node's name from its pod", async () => {
    const namespaces = "/api/v1/namespaces";
    await kube.server.ask("POST", namespaces, { metadata: { name: "kube-flannel" } });
    const spec = { nodeName: "node1", containers: [{ name: "c", image: "i" }] };
    await using daemon = kube.start(left, [], { NODE_NAME: "", POD_NAME: "p", POD_NAMESPACE: "kube-flannel" });
    await left.logged(/error retrieving pod spec for 'kube-flannel\/p'.* is forbidden/);
    // With NODE_NAME, as in our manifest, this right is not needed.
    const rules = [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }];
    await allow(kube.server, "pods", { user: flannelUser, rules });
    await left.logged(/error retrieving pod spec for 'kube-flannel\/p'.* not found/);
    await kube.server.ask("POST", `${namespaces}/kube-flannel/pods`, { metadata: { name: "p" }, spec });
    await daemon.waitUntil("the daemon is ready", async () => (await left.readiness()).status === 200);
    expect((await kube.store.node("node1")).annotations["flannel.alpha.coreos.com/public-ip"]).toBe("192.168.1.1");
  });

  test("writes annotations with the prefix of the flag, and reads no others", async () => {
    await using running = await kube.startReady(left, ["--kube-annotation-prefix", "example.com/net"]);
    const { annotations } = await kube.store.node("node1");
    expect(running.exitCode).toBeUndefined();
    expect(annotations["example.com/net-public-ip"]).toBe("192.168.1.1");
    expect(annotations["example.com/net-kube-subnet-manager"]).toBe("true");
  });

  test("says where it cannot reach the API server, and goes on trying", async () => {
    await using daemon = kube.start(left, ["--kube-api-url", `https://${apiAddress}:1`]);
    await left.logged(new RegExp(`Cannot talk to ${apiAddress}:1: it cannot be reached`));
    expect((await left.readiness("/healthz")).status).toBe(200);
    expect(daemon.exitCode).toBeUndefined();
  });

  test("is a peer to the real flanneld, and it to us", async () => {
    await kube.startReady(left);
    const words = ["--kube-subnet-mgr", "--net-config-path", kube.store.netConfPath, "--iface=eth0"];
    const files = ["--subnet-file", right.subnetFile, "--kubeconfig-file", await kubeconfig({ token: upstreamToken })];
    const flanneld = peerProgram("flanneld", "flanneld");
    const env = { NODE_NAME: "node2" };
    await using upstream = right.netns.start([flanneld, ...words, ...files, "--iptables-forward-rules=false"], {
      env,
    });
    await upstream.waitUntil("the ping comes back", () => left.pings("10.244.2.0"), 30_000);
    expect(await right.pings("10.244.1.0")).toBe(true);
    const [ours, theirs] = [await kube.store.node("node1"), await kube.store.node("node2")];
    for (const [name, value] of Object.entries(theirs.annotations)) {
      if (!name.startsWith("flannel.")) continue;
      expect([name, shape(ours.annotations[name] ?? "")]).toEqual([name, shape(value)]);
    }
    await waitUntil(
      "upstream sets its condition",
      async () => (await kube.store.node("node2")).condition !== undefined,
    );
    expect((await kube.store.node("node2")).condition).toBe((await kube.store.node("node1")).condition ?? "none");
  });
});

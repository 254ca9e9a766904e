/** Pods whose rules the reference plugins made, on a node that has ours by now. */
import { expect, test } from "bun:test";
import { symlink } from "node:fs/promises";

import type { JsonObject } from "../../src/base/decode.ts";
import type { CniReply } from "../helpers/cni.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { askMirror, startMirror } from "../helpers/mirror.ts";
import { podElements, ruleset } from "../helpers/nftables.ts";
import { peerDirectory } from "../helpers/peers.ts";
import {
  addDualPod,
  createPortHost,
  hostAddress,
  mapping,
  outsideAddress,
  portmapConfig,
} from "../helpers/port-host.ts";
import { describeWith } from "../helpers/require.ts";

const needs = ["root", "executable", "link:veth", "tool:nft", "tool:iptables", "peer:cni-plugins"] as const;
const reference = peerDirectory("cni-plugins");
const backends = ["iptables", "nftables"] as const;

/** The ruleset without what differs from one reading to the next. */
async function rules(netns: Parameters<typeof ruleset>[0]): Promise<string> {
  return (await ruleset(netns)).replaceAll(/ counter packets \d+ bytes \d+/g, "");
}

function list(port: number): readonly JsonObject[] {
  return [mapping(port, 80), mapping(port, 53, "udp", hostAddress[4])];
}

async function outcomes(calls: readonly (() => Promise<CniReply>)[]): Promise<readonly string[]> {
  const told: string[] = [];
  for (const call of calls) told.push(outcome(await call()));
  return told;
}

await describeWith(needs, "rules of the reference plugins", () => {
  for (const backend of backends) {
    test(`portmap DEL removes what the reference's ${backend} made for the pod, and nothing else`, async () => {
      await using place = await createPortHost();
      const { host, outside } = place;
      const kept = await addDualPod(host);
      const gone = await addDualPod(host);
      const ours = await addDualPod(host);
      await host.add(portmapConfig(kept.result, list(8081), { backend }), { pod: kept.pod, plugins: reference });
      const before = await rules(host.netns);
      const config = portmapConfig(gone.result, list(8082), { backend });
      await host.add(config, { pod: gone.pod, plugins: reference });
      await host.add(portmapConfig(ours.result, list(8083)), { pod: ours.pod });
      await using mirrors = new AsyncDisposableStack();
      for (const [name, { pod }] of Object.entries({ kept, gone, ours })) {
        mirrors.use(await startMirror(pod.netns, name, 80));
      }
      for (const [port, name] of [
        [8081, "kept"],
        [8082, "gone"],
        [8083, "ours"],
      ] as const) {
        expect(await askMirror(outside, hostAddress[4], port)).toBe(`${name} ${outsideAddress[4]}`);
        expect(await askMirror(outside, hostAddress[6], port)).toBe(`${name} ${outsideAddress[6]}`);
        expect(await askMirror(host.netns, "127.0.0.1", port)).toStartWith(name);
      }
      await host.delete({ cniVersion: "0.3.1", name: "cbr0", type: "portmap" }, { pod: gone.pod, netns: "" });
      expect(await askMirror(outside, hostAddress[4], 8082)).toBe("");
      expect(await askMirror(outside, hostAddress[4], 8081)).toBe(`kept ${outsideAddress[4]}`);
      await host.delete(portmapConfig(ours.result, []), { pod: ours.pod });
      await host.netns.run(["nft", "delete", "table", "inet", "tartan"]);
      expect(await rules(host.netns)).toBe(before);
    });

    test(`bridge DEL removes the masquerade that the reference's ${backend} made for the pod, and nothing else`, async () => {
      await using place = await createPortHost();
      const { host } = place;
      const config = host.bridgeConfig({ cniVersion: "1.0.0", ipMasq: true, ipMasqBackend: backend });
      const kept = await host.addPod();
      const gone = await host.addPod();
      await host.add(config, { pod: kept, plugins: reference });
      const before = await rules(host.netns);
      await host.add(config, { pod: gone, plugins: reference });
      expect(await rules(host.netns)).not.toBe(before);
      await gone.netns.remove();
      await host.delete(host.bridgeConfig({ cniVersion: "0.3.1", ipMasq: false }), { pod: gone, netns: "" });
      expect(await rules(host.netns)).toBe(before);
    });
  }

  test("portmap DEL removes the chain that old releases of the reference made for the pod, and nothing else", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const pods = [await host.addPod(), await host.addPod()] as const;
    const [kept, gone] = pods;
    // As v0.7 does it: a chain of chains, one for each container, whose name is the beginning of a hash.
    const chains = pods.map(({ containerId }) =>
      `CNI-SN-${new Bun.CryptoHasher("sha512").update(`cbr0${containerId}`).digest("hex")}`.slice(0, 28),
    );
    async function make(chain = "", address = ""): Promise<void> {
      const jump = ["-m", "comment", "--comment", "snat name: cbr0", "-s", "127.0.0.1", "-d", address, "-j", chain];
      await host.netns.run(["iptables", "-t", "nat", "-N", chain]);
      await host.netns.run(["iptables", "-t", "nat", "-A", chain, "-j", "MASQUERADE"]);
      await host.netns.run(["iptables", "-t", "nat", "-A", "CNI-HOSTPORT-SNAT", ...jump]);
    }
    await host.netns.run(["iptables", "-t", "nat", "-N", "CNI-HOSTPORT-SNAT"]);
    await make(chains[0], "10.244.1.2");
    const before = await rules(host.netns);
    await make(chains[1], "10.244.1.3");
    await host.delete({ cniVersion: "0.3.1", name: "cbr0", type: "portmap" }, { pod: gone, netns: "" });
    expect(await rules(host.netns)).toBe(before);
    await host.delete({ cniVersion: "0.3.1", name: "cbr0", type: "portmap" }, { pod: kept, netns: "" });
    expect(await rules(host.netns)).not.toContain("CNI-SN-");
  });

  for (const [members, flush] of [
    [{ ipMasq: true, ipMasqBackend: "iptables" }, ["iptables", "--table", "nat", "--flush", "POSTROUTING"]],
    [
      { ipMasq: true, ipMasqBackend: "nftables" },
      ["nft", "flush", "chain", "inet", "cni_plugins_masquerade", "masq_checks"],
    ],
    [{ macspoofchk: true }, ["nft", "flush", "chain", "bridge", "nat", "PREROUTING"]],
  ] as const) {
    test(`bridge CHECK of a pod goes by the rules of who added it, in either direction, with ${JSON.stringify(members)}`, async () => {
      await using plugins = await createExecutableDirectory();
      await using place = await createPortHost(plugins.path);
      const { host } = place;
      const config = host.bridgeConfig({ cniVersion: "1.0.0", ...members });
      const checks = [];
      for (const added of [reference, plugins.path]) {
        const pod = await host.addPod();
        const { result } = await host.add(config, { pod, plugins: added });
        for (const checking of [reference, plugins.path]) {
          checks.push(() => host.call("CHECK", { ...config, prevResult: result ?? {} }, { pod, plugins: checking }));
        }
      }
      expect(await outcomes(checks)).toEqual(["ok", "ok", "ok", "ok"]);
      await host.netns.run(flush);
      const [, missing, ...others] = await outcomes(checks);
      expect(missing).toMatch(/^999 (?:masquerade of 10\.244\.1\.2|check of the MAC address of veth\w+) is missing/);
      expect(others).toEqual(["ok", "ok"]);
    });
  }

  test("bridge DEL removes the reference's rules also when the pod's link cannot be looked for", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const config = host.bridgeConfig({ cniVersion: "1.0.0", ipMasq: true, ipMasqBackend: "nftables" });
    const kept = await host.addPod();
    const gone = await host.addPod();
    await host.add(config, { pod: kept, plugins: reference });
    const before = await rules(host.netns);
    await host.add(config, { pod: gone, plugins: reference });
    // The path leads through itself, which the kernel does not follow.
    const loop = host.directory.join("loop");
    await symlink(loop, loop);
    expect((await host.call("DEL", config, { pod: gone, netns: loop })).error?.code).toBe(999);
    expect(await rules(host.netns)).toBe(before);
    await host.delete(config, { pod: gone });
  });

  test("bridge DEL removes the check of MAC addresses that the reference made, also when nobody asks for one now", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const config = host.bridgeConfig({ cniVersion: "1.0.0", macspoofchk: true });
    const kept = await host.addPod();
    const gone = await host.addPod();
    await host.add(config, { pod: kept, plugins: reference });
    const before = await rules(host.netns);
    await host.add(config, { pod: gone, plugins: reference });
    expect(await rules(host.netns)).not.toBe(before);
    await host.delete(host.bridgeConfig(), { pod: gone });
    expect(await rules(host.netns)).toBe(before);
    expect(await podElements(host.netns)).toEqual([]);
  });
});

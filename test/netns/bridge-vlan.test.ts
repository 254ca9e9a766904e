import { expect, test } from "bun:test";

import { Decoder, type JsonObject, parseJson } from "../../src/base/decode.ts";
import { cniVersions } from "../../src/cni/version.ts";
import { type CniHost, createCniHost } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { findLink, listAddresses, listLinks } from "../helpers/kernel.ts";
import { describeWith } from "../helpers/require.ts";

const l2 = { ipam: {}, isGateway: false, isDefaultGateway: false };

/** The VLANs of a port as `id`, or `id-last`, with `native` behind what untagged frames belong to. */
async function portVlans(host: CniHost, port: string): Promise<readonly string[]> {
  const { stdout } = await host.netns.run(["bridge", "-compressvlans", "-j", "vlan", "show", "dev", port]);
  const [item] = new Decoder(parseJson(stdout.trim() === "" ? "[]" : stdout)).list();
  if (item === undefined) return [];
  return item
    .field("vlans")
    .list()
    .map((vlan) => {
      const first = vlan.field("vlan").integer();
      const last = vlan.field("vlanEnd").integer();
      const flags = vlan.field("flags").list();
      const native = flags.some((flag) => flag.string() === "PVID") ? " native" : "";
      return `${first}${last === undefined ? "" : `-${last}`}${native}`;
    });
}

/** The names of the interfaces in a result, none in those of the oldest versions. */
function interfaceNames(result: JsonObject | undefined): readonly string[] {
  const interfaces = new Decoder(result).field("interfaces").list();
  return interfaces.map((item) => item.field("name").string() ?? "");
}

const needs = ["root", "executable", "link:veth", "link:bridge vlan_filtering 1"] as const;
await describeWith(needs, "bridge with VLANs", () => {
  for (const [claim, members, wanted] of [
    ["vlan 100", { vlan: 100 }, ["100 native"]],
    ["vlan 100 beside the default", { vlan: 100, preserveDefaultVlan: true }, ["1", "100 native"]],
    ["a trunk", { vlanTrunk: [{ id: 101 }, { minID: 200, maxID: 210 }] }, ["1 native", "101", "200-210"]],
    ["vlan 100 and a trunk", { vlan: 100, vlanTrunk: [{ id: 101 }] }, ["100 native", "101"]],
  ] as const) {
    test(`ADD puts the port into ${claim}, and CHECK says when it is not`, async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const config = host.bridgeConfig({ ...l2, cniVersion: "1.0.0", ...members });
      const pod = await host.addPod();
      const { result } = await host.add(config, { pod });
      const port = interfaceNames(result)[1] ?? "";
      expect(await portVlans(host, port)).toEqual([...wanted]);
      const bridge = await findLink(host.netns, "cni0");
      expect(bridge?.settings.field("vlan_filtering").integer()).toBe(1);
      const checked = { ...config, prevResult: result ?? {} };
      expect(outcome(await host.call("CHECK", checked, { pod }))).toBe("ok");
      const id = wanted.at(-1)?.split(/[ -]/)[0] ?? "";
      await host.netns.run(["bridge", "vlan", "delete", "dev", port, "vid", id]);
      expect(outcome(await host.call("CHECK", checked, { pod }))).toBe(
        `999 Interface ${port} is not in VLAN ${id} as configured`,
      );
    });
  }

  for (const cniVersion of cniVersions) {
    for (const preserveDefaultVlan of [false, true]) {
      const kept = preserveDefaultVlan ? "beside the default" : "alone";
      test(`${cniVersion}: the gateway of vlan 100 ${kept} is a device of its own`, async () => {
        await using plugins = await createExecutableDirectory();
        await using host = await createCniHost(plugins.path);
        const config = host.bridgeConfig({ cniVersion, vlan: 100, preserveDefaultVlan });
        const old = cniVersion === "0.1.0" || cniVersion === "0.2.0";
        const { result } = await host.add(config, { pod: await host.addPod() });
        expect(interfaceNames(result)[3]).toBe(old ? undefined : "cni0.100");
        expect(await listAddresses(host.netns)).toEqual([
          { device: "cni0.100", address: "10.244.1.1/24", scope: "global" },
        ]);
        const pod = await host.addPod();
        await host.add(config, { pod });
        await pod.netns.run(["ping", "-c", "1", "-W", "2", "10.244.1.1"]);
        await pod.netns.run(["ping", "-c", "1", "-W", "2", "10.244.1.2"]);
        await host.delete(config, { pod });
        expect((await findLink(host.netns, "cni0.100"))?.up).toBe(true);
        const setting = await host.netns.run(["cat", "/proc/sys/net/ipv6/conf/cni0.100/accept_ra"]);
        expect(setting.stdout.trim()).toBe("0");
      });
    }
  }

  test("pods of different VLANs do not reach one another", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const [first, second] = [await host.addPod(), await host.addPod()];
    await host.add(host.bridgeConfig({ ...l2, vlan: 100 }), { pod: first });
    await host.add(host.bridgeConfig({ ...l2, vlan: 200 }), { pod: second });
    await first.netns.ip("address", "add", "10.1.0.1/24", "dev", "eth0");
    await second.netns.ip("address", "add", "10.1.0.2/24", "dev", "eth0");
    const ping = await first.netns.run(["ping", "-c", "1", "-W", "1", "10.1.0.2"], { exitCode: "any" });
    expect(ping.exitCode).toBe(1);
  });
});

await describeWith(
  ["root", "executable", "link:veth", "link:bridge"],
  "bridge with VLANs that the kernel lacks",
  () => {
    test("ADD that cannot join the VLAN leaves neither port nor address", async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const pod = await host.addPod();
      // Made without VLANs, and on a kernel without them: where the kernel has them, the ADD succeeds.
      await host.netns.ip("link", "add", "cni0", "type", "bridge");
      const reply = await host.call("ADD", host.bridgeConfig({ ...l2, vlan: 100 }), { pod });
      if (reply.exitCode === 0) return;
      expect(outcome(reply)).toMatch(/^999 Cannot add VLANs to port #\d+: operation not supported \(EOPNOTSUPP\)/);
      expect((await listLinks(host.netns)).filter(({ kind }) => kind === "veth")).toEqual([]);
      expect(await findLink(pod.netns, "eth0")).toBeUndefined();
    });
  },
);

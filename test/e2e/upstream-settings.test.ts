import { expect, test } from "bun:test";

import type { JsonObject } from "../../src/base/decode.ts";
import { type CniHost, createCniHost } from "../helpers/cni-host.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";
import { expectSameness, type SamenessOptions } from "../helpers/sameness.ts";
import { createUpstreamDirectory } from "../helpers/upstream.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const needed = ["root", "executable", "tool:nft", "link:veth", "link:bridge", "peer:cni-plugins"] as const;

const twoFamilies = {
  ranges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:10:244:1::/64" }]],
  routes: [{ dst: "10.244.0.0/16" }, { dst: "fd00:10:244::/48" }],
};

/** Members of the bridge's configuration, or of its `ipam`, that are not as usual. */
interface Setting extends SamenessOptions {
  readonly claim: string;
  readonly members: JsonObject;
  readonly ipam?: JsonObject;
}

const settings: readonly Setting[] = [
  { claim: "promiscMode", members: { hairpinMode: false, promiscMode: true } },
  { claim: "hairpinMode false", members: { hairpinMode: false } },
  { claim: "portIsolation", members: { portIsolation: true } },
  { claim: "two families", members: {}, ipam: twoFamilies },
  { claim: "two families and enabledad", members: { enabledad: true }, ipam: twoFamilies },
  { claim: "IPv6 alone", members: {}, ipam: { ranges: [[{ subnet: "fd00:10:244:1::/64" }]], routes: [] } },
  { claim: "no mtu", members: { mtu: 0 } },
  { claim: "an mtu of 1280", members: { mtu: 1280 } },
  { claim: "another bridge", members: { bridge: "br7" } },
  { claim: "no gateway", members: { isGateway: false, isDefaultGateway: false } },
  { claim: "a gateway without default route", members: { isDefaultGateway: false }, ipam: { routes: [] } },
  {
    claim: "several range sets",
    members: { isGateway: false, isDefaultGateway: false },
    ipam: { ranges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "10.245.1.0/24" }], [{ subnet: "fd00:1::/64" }]] },
  },
  {
    claim: "a range set of several ranges",
    members: {},
    ipam: { ranges: [[{ subnet: "10.244.1.0/30", gateway: "10.244.1.1" }, { subnet: "10.245.1.0/24" }]] },
  },
  {
    // `mtu` and `advmss` upstream hands on in the result, but does not give to the kernel.
    claim: "routes with metric and table",
    members: {},
    ipam: { routes: [{ dst: "10.9.0.0/16", gw: "10.244.1.1", priority: 7, table: 100 }] },
  },
  {
    claim: "forceAddress where the bridge has another address",
    members: { forceAddress: true },
    prepare: async ({ netns }) => {
      await netns.ip("link", "add", "cni0", "type", "bridge");
      await netns.ip("addr", "add", "10.9.9.1/24", "dev", "cni0");
    },
  },
  {
    claim: "a bridge that is there, with router advertisements and another MTU",
    members: {},
    prepare: async ({ netns }) => {
      await netns.ip("link", "add", "cni0", "mtu", "1400", "type", "bridge");
      await netns.run(["sysctl", "-qw", "net.ipv6.conf.cni0.accept_ra=2"]);
    },
  },
  { claim: "no IPAM", members: { isGateway: false, isDefaultGateway: false, ipam: {} } },
  {
    claim: "no IPAM and disableContainerInterface",
    members: { isGateway: false, isDefaultGateway: false, ipam: {}, disableContainerInterface: true },
  },
  { claim: "MAC in CNI_ARGS", members: {}, args: "IgnoreUnknown=1;MAC=02:11:22:33:44:01" },
  {
    claim: "MAC in args, before CNI_ARGS",
    members: { args: { cni: { mac: "02:11:22:33:44:02" } } },
    args: "IgnoreUnknown=1;MAC=02:11:22:33:44:01",
  },
  {
    claim: "MAC in runtimeConfig, before args",
    members: { args: { cni: { mac: "02:11:22:33:44:02" } }, runtimeConfig: { mac: "02:11:22:33:44:03" } },
  },
  { claim: "an address in CNI_ARGS", members: {}, args: "IgnoreUnknown=1;IP=10.244.1.77" },
  { claim: "an address in runtimeConfig", members: { runtimeConfig: { ips: ["10.244.1.78/24"] } } },
  { claim: "dns", members: { dns: { nameservers: ["10.96.0.10"], search: ["a"], options: ["ndots:5"] } } },
];

const vlanSettings: readonly Setting[] = [
  { claim: "vlan", members: { isGateway: false, isDefaultGateway: false, ipam: {}, vlan: 100 } },
  { claim: "vlan with addresses", members: { vlan: 100 } },
  { claim: "vlan and preserveDefaultVlan", members: { vlan: 100, preserveDefaultVlan: true } },
  {
    claim: "vlanTrunk",
    members: {
      isGateway: false,
      isDefaultGateway: false,
      ipam: {},
      vlanTrunk: [{ id: 101 }, { minID: 200, maxID: 210 }],
    },
  },
];

await describeWith([...needed, "link:bridge vlan_filtering 1"], "the same as upstream's bridge with VLANs", () => {
  for (const setting of vlanSettings) testSetting(setting);
});

await describeWith(needed, "the same as upstream's bridge", () => {
  for (const setting of settings) testSetting(setting);

  test("ipMasq, whichever backend is asked for: the outside sees the host's address, without it the pod's", async () => {
    for (const members of [
      { ipMasq: true },
      { ipMasq: true, ipMasqBackend: "iptables" },
      { ipMasq: true, ipMasqBackend: "nftables" },
      { ipMasq: false },
    ]) {
      for (const plugins of [createUpstreamDirectory, createExecutableDirectory]) {
        await using directory = await plugins();
        expect([members, await reachesOutside(directory.path, members)]).toEqual([members, members.ipMasq]);
      }
    }
  });

  test("macspoofchk: what comes from another MAC address is dropped, and only then", async () => {
    for (const macspoofchk of [true, false]) {
      for (const plugins of [createUpstreamDirectory, createExecutableDirectory]) {
        await using directory = await plugins();
        await using host = await createCniHost(directory.path);
        const pod = await host.addPod();
        const config = host.bridgeConfig({
          cniVersion: "1.0.0",
          macspoofchk,
          runtimeConfig: { mac: "02:11:22:33:44:01" },
        });
        await host.add(config, { pod });
        const own = await canPing(pod.netns, "10.244.1.1");
        await pod.netns.ip("link", "set", "eth0", "address", "02:11:22:33:44:02");
        const foreign = await canPing(pod.netns, "10.244.1.1");
        expect({ macspoofchk, own, foreign }).toEqual({ macspoofchk, own: true, foreign: !macspoofchk });
        await host.delete(config, { pod });
      }
    }
  });
});

function testSetting({ claim, members, ipam, ...options }: Setting): void {
  test(`${claim}: result, kernel state, sysctls and files`, async () => {
    await expectSameness(
      (host) => host.bridgeConfig({ cniVersion: "1.0.0", ipam: host.ipamConfig(ipam), ...members }),
      "1.0.0",
      options,
    );
  });
}

/** True when a machine that has no way back to the pods answers one, which it can only do to the host's address. */
async function reachesOutside(plugins: string, members: JsonObject): Promise<boolean> {
  await using host = await createCniHost(plugins);
  await using outside = await createNetns({ loopbackUp: true });
  await connect(host, outside);
  const pod = await host.addPod();
  const config = host.bridgeConfig({ cniVersion: "1.0.0", ...members });
  await host.add(config, { pod });
  const answered = await canPing(pod.netns, "192.0.2.2");
  await host.delete(config, { pod });
  return answered;
}

/** A pair drops what is sent in its first moments: the kernel tells of a carrier up to a second late (link_watch.c). */
async function connect({ netns }: CniHost, outside: TestNetns): Promise<void> {
  await netns.ip("link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", outside.name);
  await netns.ip("addr", "add", "192.0.2.1/24", "dev", "up0");
  await netns.ip("link", "set", "up0", "up");
  await outside.ip("addr", "add", "192.0.2.2/24", "dev", "eth0");
  await outside.ip("link", "set", "eth0", "up");
  await waitUntil("the outside answers the host", () => canPing(netns, "192.0.2.2"));
}

/** Sends until one is answered, for at most two seconds. */
async function canPing(netns: Pick<TestNetns, "run">, address: string): Promise<boolean> {
  const { exitCode } = await netns.run(["ping", "-c", "1", "-i", "0.2", "-w", "2", "-q", address], { exitCode: "any" });
  return exitCode === 0;
}

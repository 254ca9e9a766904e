import { expect, test } from "bun:test";
import { rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { Decoder, type JsonObject } from "../../src/base/decode.ts";
import { type CniHost, createCniHost, type TestPod } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";

const versions = ["0.4.0", "1.0.0", "1.1.0"] as const;
const dualStack = {
  ranges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:10:244:1::/64" }]],
  routes: [{ dst: "10.244.0.0/16" }, { dst: "fd00:10:244::/56" }],
};

/** A pod that was added, and what CHECK needs to know of it. */
interface Added {
  readonly host: CniHost;
  readonly pod: TestPod;
  readonly config: JsonObject;
  /** Name of the pair's end on the host. */
  readonly veth: string;
}

async function add(host: CniHost, config: JsonObject): Promise<Added> {
  const pod = await host.addPod();
  const { result } = await host.add(config, { pod });
  const veth = new Decoder(result).field("interfaces").list()[1]?.field("name").string() ?? "";
  return { host, pod, config: { ...config, prevResult: result ?? {} }, veth };
}

async function check({ host, pod, config }: Added, members: JsonObject = {}): Promise<string> {
  return outcome(await host.call("CHECK", { ...config, ...members }, { pod }));
}

await describeWith(["root", "executable", "link:veth", "link:bridge"], "CHECK", () => {
  for (const cniVersion of versions) {
    test(`finds nothing wrong directly after ADD, in version ${cniVersion}`, async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      for (const config of [
        host.bridgeConfig(),
        host.bridgeConfig({ ipam: host.ipamConfig(dualStack) }),
        host.bridgeConfig({ ipam: host.ipamConfig({ ranges: [[{ subnet: "fd00:10:244:1::/64" }]] }) }),
        host.bridgeConfig({ ipam: {}, isGateway: false, isDefaultGateway: false, bridge: "l2" }),
        host.flannelConfig(),
      ]) {
        const added = await add(host, { ...config, cniVersion });
        expect(await check(added)).toBe("ok");
        await host.delete(added.config, { pod: added.pod });
        expect(await check(added)).not.toBe("ok");
      }
    });
  }

  const damages: readonly (readonly [claim: string, damage: (added: Added) => Promise<unknown>, words: RegExp])[] = [
    [
      "the address is gone",
      ({ pod }): Promise<unknown> => pod.netns.ip("address", "delete", "10.244.1.2/24", "dev", "eth0"),
      /^999 Failed to match addr 10\.244\.1\.2\/24 on interface eth0$/,
    ],
    [
      "the address has another prefix length",
      async ({ pod }): Promise<void> => {
        await pod.netns.ip("address", "delete", "10.244.1.2/24", "dev", "eth0");
        await pod.netns.ip("address", "add", "10.244.1.2/16", "dev", "eth0");
      },
      /^999 Failed to match addr 10\.244\.1\.2\/24/,
    ],
    [
      "the IPv6 address is gone",
      ({ pod }): Promise<unknown> => pod.netns.ip("address", "delete", "fd00:10:244:1::2/64", "dev", "eth0"),
      /^999 Failed to match addr fd00:10:244:1::2\/64/,
    ],
    [
      "the subnet's route is gone",
      ({ pod }): Promise<unknown> => pod.netns.ip("route", "delete", "10.244.1.0/24"),
      /^999 Failed to find Gateway 10\.244\.1\.1 for interface eth0$/,
    ],
    [
      "a route is gone",
      ({ pod }): Promise<unknown> => pod.netns.ip("route", "delete", "10.244.0.0/16"),
      /^999 Expected Route 10\.244\.0\.0\/16 not found in routing table$/,
    ],
    [
      "the default route goes another way",
      ({ pod }): Promise<unknown> => pod.netns.ip("route", "replace", "default", "via", "10.244.1.77"),
      /^999 Expected Route 0\.0\.0\.0\/0 via 10\.244\.1\.1 not found/,
    ],
    [
      "the IPv6 default route is gone",
      ({ pod }): Promise<unknown> => pod.netns.ip("-6", "route", "delete", "default"),
      /^999 Expected Route ::\/0 via fd00:10:244:1::1 not found/,
    ],
    [
      "the container's MAC address is another",
      ({ pod }): Promise<unknown> => pod.netns.ip("link", "set", "eth0", "address", "02:00:00:00:00:01"),
      /^999 Interface eth0 Mac 0a:58:0a:f4:01:02 doesn't match container Mac: 02:00:00:00:00:01$/,
    ],
    [
      "the container's interface is down",
      ({ pod }): Promise<unknown> => pod.netns.ip("link", "set", "eth0", "down"),
      /^999 Interface eth0 is down$/,
    ],
    [
      "the container's interface is gone",
      ({ pod }): Promise<unknown> => pod.netns.ip("link", "delete", "eth0"),
      /^999 Interface name eth0 not found$/,
    ],
    [
      "the container's interface is something else",
      async ({ pod }): Promise<void> => {
        await pod.netns.ip("link", "delete", "eth0");
        await pod.netns.ip("link", "add", "eth0", "address", "0a:58:0a:f4:01:02", "type", "bridge");
      },
      /^999 Error: Container interface eth0 not of type veth$/,
    ],
    [
      "the host's end is down",
      ({ host, veth }): Promise<unknown> => host.netns.ip("link", "set", veth, "down"),
      /^999 Interface veth\w+ is down$/,
    ],
    [
      "the host's end has left the bridge",
      ({ host, veth }): Promise<unknown> => host.netns.ip("link", "set", veth, "nomaster"),
      /^999 CNI veth created for bridge cni0 was not found$/,
    ],
    [
      "the host's end is at another bridge",
      async ({ host, veth }): Promise<void> => {
        await host.netns.ip("link", "add", "br1", "type", "bridge");
        await host.netns.ip("link", "set", veth, "master", "br1");
      },
      /^999 CNI veth created for bridge cni0 was not found$/,
    ],
    [
      "the host's end has another MAC address",
      ({ host, veth }): Promise<unknown> => host.netns.ip("link", "set", veth, "address", "02:00:00:00:00:02"),
      /^999 Interface veth\w+ Mac doesn't match: [\da-f:]{17} not found$/,
    ],
    [
      "the host's end has another name",
      async ({ host, veth }): Promise<void> => {
        await host.netns.ip("link", "set", veth, "down");
        await host.netns.ip("link", "set", veth, "name", "other0");
      },
      /^999 Interface name veth\w+ not found$/,
    ],
    [
      "the bridge has another MAC address",
      ({ host }): Promise<unknown> => host.netns.ip("link", "set", "cni0", "address", "02:00:00:00:00:03"),
      /^999 Bridge interface cni0 Mac doesn't match: 0a:58:0a:f4:01:01$/,
    ],
    [
      "the bridge is promiscuous",
      ({ host }): Promise<unknown> => host.netns.ip("link", "set", "cni0", "promisc", "on"),
      /^999 Bridge interface cni0 configured Promisc Mode false doesn't match current state: true$/,
    ],
    [
      "the bridge is down",
      ({ host }): Promise<unknown> => host.netns.ip("link", "set", "cni0", "down"),
      /^999 Interface cni0 is down$/,
    ],
    [
      "the bridge is gone",
      ({ host }): Promise<unknown> => host.netns.ip("link", "delete", "cni0"),
      /^999 Interface name cni0 not found$/,
    ],
    [
      "the reservation is gone",
      ({ host }): Promise<unknown> => unlink(join(host.networksDirectory, "cbr0/10.244.1.2")),
      /^999 host-local: Failed to find address 10\.244\.1\.2 added by container \w+$/,
    ],
    [
      "the reservation is another's",
      async ({ host }): Promise<void> => {
        await unlink(join(host.networksDirectory, "cbr0/10.244.1.2"));
        await writeFile(join(host.networksDirectory, "cbr0/10.244.1.2"), "other\r\neth0");
      },
      /^999 host-local: Failed to find address 10\.244\.1\.2 added by container \w+$/,
    ],
    [
      "all that is known of addresses is gone",
      ({ host }): Promise<unknown> => rename(host.networksDirectory, `${host.networksDirectory}.old`),
      /^999 host-local: Failed to find address added by container \w+$/,
    ],
  ];
  for (const [claim, damage, words] of damages) {
    test(`says that ${claim}`, async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const ipam = host.ipamConfig(dualStack);
      const added = await add(host, host.bridgeConfig({ cniVersion: "1.0.0", ipam }));
      expect(await check(added)).toBe("ok");
      await damage(added);
      expect(await check(added)).toMatch(words);
    });
  }

  test("tolerates what later plugins have added", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const added = await add(host, host.bridgeConfig({ cniVersion: "1.0.0" }));
    const { pod } = added;
    await pod.netns.ip("address", "add", "10.99.0.1/24", "dev", "eth0");
    await pod.netns.ip("route", "add", "10.98.0.0/24", "via", "10.244.1.9");
    await pod.netns.ip("link", "set", "eth0", "mtu", "1400");
    await pod.netns.ip("link", "add", "net1", "type", "bridge");
    expect(await check(added)).toBe("ok");
  });

  test("looks for a route in the table that the route names", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const routes = [100, 1000].map((table) => ({ dst: `10.${table % 256}.0.0/16`, table }));
    const added = await add(host, host.bridgeConfig({ cniVersion: "1.1.0", ipam: host.ipamConfig({ routes }) }));
    expect(await check(added)).toBe("ok");
    await added.pod.netns.ip("route", "flush", "table", "1000");
    expect(await check(added)).toBe("999 Expected Route 10.232.0.0/16 not found in routing table");
  });

  test("needs the previous result and the container's namespace", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    for (const config of [host.bridgeConfig({ cniVersion: "1.0.0" }), host.flannelConfig({ cniVersion: "1.0.0" })]) {
      const added = await add(host, config);
      expect(await check(added, { prevResult: null })).toBe("999 Required prevResult missing");
      const { pod } = added;
      const elsewhere = await host.call("CHECK", added.config, { pod, netns: "/run/netns/gone" });
      expect(outcome(elsewhere)).toStartWith('999 failed to open netns "/run/netns/gone"');
      const other = await host.addPod();
      expect(outcome(await host.call("CHECK", added.config, { pod, netns: other.netns.path }))).toBe(
        `999 Sandbox in prevResult ${pod.netns.path} doesn't match configured netns: ${other.netns.path}`,
      );
      expect(await check(added, { prevResult: { ips: "x" } })).toStartWith("6 could not parse prevResult: ");
      await host.delete(added.config, { pod });
    }
  });

  test("of loopback says that lo is down", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const config = { cniVersion: "1.0.0", name: "lo", type: "loopback" };
    expect(outcome(await host.call("CHECK", config, { pod }))).toBe("999 loopback interface is down");
    await host.add(config, { pod });
    expect(outcome(await host.call("CHECK", config, { pod }))).toBe("ok");
  });

  test("of flannel compares with what ADD used, or without its file with what it would use now", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const added = await add(host, host.flannelConfig({ cniVersion: "1.0.0" }));
    const changed = { delegate: { ipMasq: false, bridge: "cni9" } };
    expect(await check(added, changed)).toBe("ok");
    await unlink(join(host.flannelDirectory, added.pod.containerId));
    expect(await check(added)).toBe("ok");
    expect(await check(added, changed)).toBe("999 Interface name missing");
    await unlink(host.subnetFile);
    expect(await check(added)).toStartWith("11 failed to load flannel 'subnet.env' file");
  });
});

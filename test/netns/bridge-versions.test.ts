import { expect, test } from "bun:test";

import { Decoder, type JsonObject } from "../../src/base/decode.ts";
import { cniVersions } from "../../src/cni/version.ts";
import { createCniHost } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { type CniReply, resultAddresses } from "../helpers/cni.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { findLink, listAddresses, listLinks, listRoutes } from "../helpers/kernel.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const v4 = [{ subnet: "10.244.1.0/24" }];
const v6 = [{ subnet: "fd00:10:244:1::/64" }];
const otherV6 = [{ subnet: "fd00:10:244:2::/64" }];

const shapes = [
  { name: "IPv4", ranges: [v4], addresses: ["10.244.1.2/24"], gateways: ["10.244.1.1/24"] },
  { name: "IPv6", ranges: [v6], addresses: ["fd00:10:244:1::2/64"], gateways: ["fd00:10:244:1::1/64"] },
  {
    name: "both families",
    ranges: [v4, v6],
    addresses: ["10.244.1.2/24", "fd00:10:244:1::2/64"],
    gateways: ["10.244.1.1/24", "fd00:10:244:1::1/64"],
  },
  {
    name: "three ranges",
    ranges: [v4, v6, otherV6],
    addresses: ["10.244.1.2/24", "fd00:10:244:1::2/64", "fd00:10:244:2::2/64"],
    gateways: ["10.244.1.1/24", "fd00:10:244:1::1/64", "fd00:10:244:2::1/64"],
  },
] as const;

/** The addresses of a result of any version. */
function addressesOf(reply: CniReply): readonly string[] {
  const json = new Decoder(reply.result);
  const families = ["ip4", "ip6"].flatMap((key) => json.field(key).field("ip").string() ?? []);
  return families.length > 0 ? families : resultAddresses(reply);
}

/** The interfaces of a result: name, and whether its MAC address is complete and where it lies. */
function interfacesOf({ result }: CniReply): readonly (readonly [string, number, string | undefined])[] {
  const interfaces = new Decoder(result).field("interfaces").list();
  return interfaces.map((item) => [
    (item.field("name").string() ?? "").replace(/^veth.*/, "veth"),
    item.field("mac").string()?.length ?? 0,
    item.field("sandbox").string(),
  ]);
}

async function sortedAddresses(netns: TestNetns): Promise<readonly string[]> {
  return (await listAddresses(netns)).map(({ address }) => address).toSorted();
}

await describeWith(["root", "executable", "link:veth", "link:bridge"], "bridge in every version", () => {
  for (const cniVersion of cniVersions) {
    const old = cniVersion === "0.1.0" || cniVersion === "0.2.0";
    for (const { name, ranges, addresses, gateways } of shapes) {
      const tooMany = old && ranges.length > 2;
      test(`${cniVersion}: ADD and DEL with ${name}${tooMany ? " are refused" : ""}`, async () => {
        await using plugins = await createExecutableDirectory();
        await using host = await createCniHost(plugins.path);
        const pod = await host.addPod();
        const ipam = host.ipamConfig({ ranges, routes: [] });
        const config = host.bridgeConfig({ cniVersion, ipam });
        if (tooMany) {
          const words = `7 CNI version ${cniVersion} does not support more than 1 address per family`;
          expect(outcome(await host.call("ADD", config, { pod }))).toBe(words);
          expect(outcome(await host.call("DEL", config, { pod }))).toBe(words);
          return;
        }
        const added = await host.add(config, { pod });
        expect(added.result?.["cniVersion"]).toBe(cniVersion);
        expect(addressesOf(added)).toEqual([...addresses]);
        if (!old) {
          expect(interfacesOf(added)).toEqual([
            ["cni0", 17, undefined],
            ["veth", 17, undefined],
            ["eth0", 17, pod.netns.path],
          ]);
        }
        expect(await sortedAddresses(pod.netns)).toEqual([...addresses]);
        expect(await sortedAddresses(host.netns)).toEqual([...gateways]);
        const defaults = (await listRoutes(pod.netns)).filter(({ destination }) => destination === "default");
        expect(defaults).toHaveLength(new Set(addresses.map((address) => address.includes(":"))).size);
        await host.delete(config, { pod });
        expect(await findLink(pod.netns, "eth0")).toBeUndefined();
        expect((await listLinks(host.netns)).filter(({ kind }) => kind === "veth")).toEqual([]);
        expect((await host.leftovers()).filter((line) => /networks\/cbr0\/(?:10\.|fd)/.test(line))).toEqual([]);
        await host.delete(config, { pod });
      });
    }

    test(`${cniVersion}: ADD and DEL without addresses${old ? ", which it cannot tell" : ""}`, async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const pod = await host.addPod();
      const config: JsonObject = { cniVersion, name: "l2", type: "bridge", bridge: "l2" };
      if (old) {
        expect(outcome(await host.call("ADD", config, { pod }))).toBe("999 cannot convert: no valid IP addresses");
        expect(await findLink(pod.netns, "eth0")).toBeUndefined();
      } else {
        expect(interfacesOf(await host.add(config, { pod }))).toHaveLength(3);
        expect((await findLink(pod.netns, "eth0"))?.up).toBe(true);
      }
      await host.delete(config, { pod });
      expect((await listLinks(host.netns)).filter(({ kind }) => kind === "veth")).toEqual([]);
    });
  }
});

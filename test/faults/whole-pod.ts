import { listAddresses, listLinks, listRoutes } from "../helpers/kernel.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { podElements, ruleset } from "../helpers/nftables.ts";

/** What ADD sets of the host, beside what is the pod's. */
const hostSysctls = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv4/conf/cni0/route_localnet"];

/**
 * All that a pod has in the kernel, and what the host has for it, as sorted lines: two pods of one network have the same
 * but for what `names` names, their addresses and ports, in place of which the lines have its values.
 */
export async function describeWholePod(
  host: TestNetns,
  pod: TestNetns,
  names: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const [ofPod, ofHost, elements, rules, sysctls] = await Promise.all([
    describeDevices(pod),
    describeDevices(host),
    podElements(host),
    ruleset(host),
    host.run(["cat", ...hostSysctls.map((key) => `/proc/sys/${key}`)]),
  ]);
  const lines = [
    ...ofPod.map((line) => `pod: ${line}`),
    ...ofHost.map((line) => `host: ${line}`),
    ...elements.map((element) => `element ${element}`),
    // Elements come in an order of the kernel's own.
    ...withoutElements(rules).map((line) => `rules: ${line}`),
    ...sysctls.stdout
      .trimEnd()
      .split("\n")
      .map((value, at) => `${hostSysctls[at]} ${value}`),
  ];
  return lines.map((line) => withNames(line, names)).toSorted();
}

async function describeDevices(netns: TestNetns): Promise<readonly string[]> {
  const [links, addresses, routes] = await Promise.all([listLinks(netns), listAddresses(netns), listRoutes(netns)]);
  return [
    ...links.map(({ name, mtu, up, master = "-", port }) => {
      const hairpin = port.field("hairpin").value === true ? " hairpin" : "";
      return `link ${name} mtu ${mtu} ${up ? "up" : "down"} master ${master}${hairpin}`;
    }),
    ...addresses.map(({ device, address }) => `address ${address} dev ${device}`),
    ...routes.map(({ destination, gateway = "-", device }) => `route ${destination} via ${gateway} dev ${device}`),
  ];
}

function withoutElements(rules: string): readonly string[] {
  const lines = rules.replaceAll(/elements = \{[^{}]*\}/g, "").split("\n");
  return lines.map((line) => line.trim()).filter((line) => line !== "");
}

function withNames(line: string, names: ReadonlyMap<string, string>): string {
  // The keys of what belongs to an attachment are hashes of its name (firewall/pod-owner.ts).
  let named = line.replaceAll(/veth[0-9a-f]+/g, "VETH").replaceAll(/"[0-9a-f]{15}"/g, "OWNER");
  for (const [text, name] of names) {
    named = named.replaceAll(new RegExp(`(?<![\\w.])${RegExp.escape(text)}(?![\\w.:])`, "g"), name);
  }
  return named;
}

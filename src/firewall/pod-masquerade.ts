/**
 * The masquerade's part of the table, for the bridge plugin's `ipMasq`: for each subnet of pods a set of the addresses that
 * are masqueraded towards everything outside of it, but multicast (pkg/ip/ipmasq_*.go at v1.9.1). A node has one subnet
 * of a family, nearly always, and thus one rule.
 */
import { type Cidr, cidrOf, findCidr, formatCidr, networkOf } from "../addr/cidr.ts";
import { formatIp } from "../addr/ip.ts";
import type { Request } from "../netlink/message.ts";
import * as n from "../netlink/nftables-constants.ts";
import { listSets } from "../netlink/nftables-dump.ts";
import { type Expression, lookup, masquerade } from "../netlink/nftables-expression.ts";
import { ipv6Field, markField, elementBytes } from "../netlink/nftables-set.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { narrowAddress, wideAddress } from "./host-ports.ts";
import { addressField, loadAddress, matchFamily, matchNetwork, multicasts } from "./packet-match.ts";
import { indexKey, type PodEntry, type PodSets } from "./pod-sets.ts";
import { planPart, podTable, type TablePart } from "./pod-table.ts";

export const masqueradeIndex = "masquerade_pods";
const masqueradeHook = {
  type: "nat",
  number: n.NF_INET_POST_ROUTING,
  priority: n.NF_IP_PRI_NAT_SRC,
  policy: n.NF_ACCEPT,
};
const chainName = "masquerading";
const setPrefix = "masquerade_";

export const masqueradeSets: PodSets = {
  table: podTable,
  index: masqueradeIndex,
  chains: [{ name: chainName, hook: masqueradeHook, use: 1 }],
  keysOf: (index) => {
    const address = narrowAddress(index);
    const pod = cidrOf(address, index[16]);
    return [{ set: setName(pod), key: address.bytes }];
  },
};

/** The entry of one pod's address, with the prefix length of its subnet. Pure. */
export function masqueradeEntry(pod: Cidr): PodEntry {
  const index = elementBytes([wideAddress(pod.family, pod.address), Uint8Array.of(pod.prefixLength, 0, 0, 0)]);
  return {
    index,
    elements: [{ set: setName(pod), key: pod.address.bytes }],
    text: `masquerade of ${formatIp(pod.address)}`,
  };
}

/** The requests that make what is missing for pods of these subnets, beside those that others use. */
export function prepareMasquerade(socket: NetlinkSocket, pods: readonly Cidr[]): readonly Request[] {
  return planPart(socket, masqueradePart([...presentSubnets(socket), ...pods]));
}

/** The part for pods of these subnets. Pure. */
export function masqueradePart(pods: readonly Cidr[]): TablePart {
  const subnets = new Map(pods.map((pod) => [setName(pod), networkOf(pod)]));
  const ordered = [...subnets].toSorted(([left], [right]) => (left < right ? -1 : 1));
  return {
    table: podTable,
    sets: [
      ...ordered.map(([name, { family }]) => ({ name, key: [addressField(family)], data: undefined })),
      { name: masqueradeIndex, key: indexKey, data: [ipv6Field, markField] },
    ],
    chains: [
      { name: chainName, hook: masqueradeHook, rules: ordered.map(([name, subnet]) => subnetRule(name, subnet)) },
    ],
  };
}

/** The subnets for which there are sets. */
export function presentSubnets(socket: NetlinkSocket): readonly Cidr[] {
  return subnetsOf(listSets(socket, podTable).map(({ name }) => name));
}

/** The subnets for which sets of these names are. Pure. */
export function subnetsOf(names: readonly string[]): readonly Cidr[] {
  return names.flatMap((name) => {
    const subnet = name.startsWith(setPrefix) ? findCidr(name.slice(setPrefix.length).replaceAll("-", ":")) : undefined;
    return subnet === undefined ? [] : [subnet];
  });
}

function subnetRule(set: string, subnet: Cidr): readonly Expression[] {
  return [
    ...matchFamily(subnet.family),
    loadAddress("saddr", subnet.family),
    lookup(set),
    ...matchNetwork("daddr", subnet, "outside"),
    ...matchNetwork("daddr", multicasts[subnet.family], "outside"),
    masquerade(),
  ];
}

/** A name of a set has no colon. */
function setName(pod: Cidr): string {
  return `${setPrefix}${formatCidr(networkOf(pod)).replaceAll(":", "-")}`;
}

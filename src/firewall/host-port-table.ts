/**
 * The host ports' part of the table: maps from protocol and port, or address, protocol and port, to a pod's address and
 * port, and the rules that look into them. A packet costs the same however many mappings there are.
 *
 *     chain prerouting, output  (nat, -99)   packets to an address of this host go through hostports4 or hostports6
 *     chain hostports4          the maps of addresses, then those of ports; before each the sets of sources to mark
 *     chain postrouting         (nat, 100)   marked connections to host ports are masqueraded
 *     chain guard               (filter, -300) keeps packets to 127.0.0.0/8 out that do not come from this host: the
 *                               setting route_localnet, without which 127.0.0.1 has no host ports, would let them in
 */
import { parseCidr } from "../addr/cidr.ts";
import { families, type Family } from "../addr/ip.ts";
import type { Request } from "../netlink/message.ts";
import * as n from "../netlink/nftables-constants.ts";
import { listSets } from "../netlink/nftables-dump.ts";
import {
  bitwise,
  cmp,
  ct,
  type Expression,
  lookup,
  lookupMap,
  masquerade,
  meta,
  metaSet,
  nat,
  register,
  verdict,
} from "../netlink/nftables-expression.ts";
import { interfaceField, ipv6Field, markField, portField, protocolField } from "../netlink/nftables-set.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import {
  addressField,
  loadAddress,
  loadService,
  matchFamily,
  matchLocalDestination,
  matchNetwork,
  netfilterFamily,
} from "./packet-match.ts";
import { indexKey, interfaceBytes } from "./pod-sets.ts";
import type { ChainShape } from "./pod-shape.ts";
import { planPart, podTable, type TablePart } from "./pod-table.ts";

/** include/uapi/linux/netfilter/nf_conntrack_common.h */
const IPS_DST_NAT = 1 << 5;
/**
 * Behind everybody else's rewriting, whoever came first: of two the first to match counts. kube-proxy's goes before host
 * ports with the reference as well; and a mapping that upstream's portmap makes after a move back is newer than one of
 * ours that nobody removed.
 */
const rewritePriority = n.NF_IP_PRI_NAT_DST + 1;
/** Words of the registers behind an interface's name. */
const behindInterface = 4;
const loopback = parseCidr("127.0.0.0/8");

const policy = n.NF_ACCEPT;
const hooks = {
  prerouting: { type: "nat", number: n.NF_INET_PRE_ROUTING, priority: rewritePriority, policy },
  output: { type: "nat", number: n.NF_INET_LOCAL_OUT, priority: rewritePriority, policy },
  postrouting: { type: "nat", number: n.NF_INET_POST_ROUTING, priority: n.NF_IP_PRI_NAT_SRC, policy },
  guard: { type: "filter", number: n.NF_INET_PRE_ROUTING, priority: n.NF_IP_PRI_RAW, policy },
} as const;
const bases = ["prerouting", "output", "postrouting", "guard"] as const;

/** The part's chains with the rules of one mark bit; those of addresses and of ports are two each, and are jumped to twice. */
export const hostPortChains: readonly ChainShape[] = [
  { name: portChainName(4), hook: undefined, use: 2 * (3 + 1) + 2 },
  { name: portChainName(6), hook: undefined, use: 2 * (2 + 1) + 2 },
  ...bases.map((name) => ({ name, hook: hooks[name], use: name === "prerouting" || name === "output" ? 2 : 1 })),
];

export const hostPortIndex = "hostport_pods";

/** The fields of the index's data: host address, protocol, port, the device of the pod's side, the mark. */
const indexData = [ipv6Field, protocolField, portField, interfaceField, markField];

/** Name of the map of a family: by port alone, or for mappings of one host address. */
export function portMapName(family: Family, withAddress: boolean): string {
  return `${withAddress ? "addresses" : "ports"}${family}`;
}

/** Name of the set of devices and host ports, packets from which and to which are marked with this bit. */
export function deviceSetName(family: Family, withAddress: boolean, bit: number): string {
  return `snat${bit}_${portMapName(family, withAddress)}`;
}

/** Name of the set of host ports to which all packets are marked with this bit. */
export function everySetName(family: Family, withAddress: boolean, bit: number): string {
  return `masq${bit}_${portMapName(family, withAddress)}`;
}

/** The part with the sets of these mark bits. Pure. */
export function hostPortPart(bits: readonly number[]): TablePart {
  const service = [protocolField, portField];
  const sets = families.flatMap((family) => {
    const address = addressField(family);
    return [false, true].flatMap((withAddress) => {
      const key = withAddress ? [address, ...service] : service;
      return [
        { name: portMapName(family, withAddress), key, data: [address, portField] },
        ...bits.flatMap((bit) => [
          { name: deviceSetName(family, withAddress, bit), key: [interfaceField, ...key], data: undefined },
          { name: everySetName(family, withAddress, bit), key, data: undefined },
        ]),
      ];
    });
  });
  return {
    table: podTable,
    sets: [...sets, { name: hostPortIndex, key: indexKey, data: indexData }],
    chains: [...families.map((family) => portChain(family, bits)), ...baseChains(bits)],
  };
}

/** The requests that make what is missing for mappings with this mark bit, beside the bits that others use. */
export function prepareHostPorts(socket: NetlinkSocket, bit: number): readonly Request[] {
  return planPart(socket, hostPortPart([...new Set([...presentBits(socket), bit])].toSorted((a, b) => a - b)));
}

/** The mark bits for which there are sets. */
export function presentBits(socket: NetlinkSocket): readonly number[] {
  return bitsOf(listSets(socket, podTable).map(({ name }) => name));
}

/** The mark bits for which sets of these names are. Pure. */
export function bitsOf(names: readonly string[]): readonly number[] {
  const marker = `_${portMapName(4, false)}`;
  const bits: number[] = [];
  for (const name of names) {
    if (name.startsWith("snat") && name.endsWith(marker)) bits.push(Number(name.slice(4, -marker.length)));
  }
  return bits;
}

/** The bytes of a mark with one bit, in the order of the host. */
export function markBytes(bit: number): Uint8Array {
  const bytes = new Uint8Array(4);
  bytes[bit >> 3] = 1 << (bit & 7);
  return bytes;
}

function baseChains(bits: readonly number[]): TablePart["chains"] {
  const dispatch = families.map((family) => [
    ...matchFamily(family),
    ...matchLocalDestination,
    verdict(n.NFT_JUMP, portChainName(family)),
  ]);
  const guard = [
    ...matchFamily(4),
    ...matchNetwork("daddr", loopback),
    meta(n.NFT_META_IIFNAME),
    cmp(n.NFT_CMP_NEQ, interfaceBytes("lo")),
    verdict(n.NF_DROP),
  ];
  const rules = { prerouting: dispatch, output: dispatch, postrouting: bits.map(masqueradeMarked), guard: [guard] };
  return bases.map((name) => ({ name, hook: hooks[name], rules: rules[name] }));
}

function portChain(family: Family, bits: readonly number[]): TablePart["chains"][number] {
  const rules = [true, false].flatMap((withAddress) => [
    ...bits.flatMap((bit) => markRules(family, withAddress, bit)),
    [...matchFamily(family), ...loadKey(family, withAddress, 0), ...rewrite(family, withAddress)],
  ]);
  return { name: portChainName(family), hook: undefined, rules };
}

function portChainName(family: Family): string {
  return `hostports${family}`;
}

/**
 * Packets are marked that come through the device behind which the pod is: the answer would not come back through this
 * host. One from 127.0.0.1, which is on its way to `lo`, is answered by no pod either.
 */
function markRules(family: Family, withAddress: boolean, bit: number): readonly (readonly Expression[])[] {
  const devices = lookup(deviceSetName(family, withAddress, bit));
  const behindDevice = loadKey(family, withAddress, behindInterface);
  const mark = setMark(bit);
  const fromLoopback = [...matchNetwork("saddr", loopback), meta(n.NFT_META_OIFNAME)];
  const sources = family === 4 ? [[meta(n.NFT_META_IIFNAME)], fromLoopback] : [[meta(n.NFT_META_IIFNAME)]];
  return [
    ...sources.map((source) => [...matchFamily(family), ...source, ...behindDevice, devices, ...mark]),
    [
      ...matchFamily(family),
      ...loadKey(family, withAddress, 0),
      lookup(everySetName(family, withAddress, bit)),
      ...mark,
    ],
  ];
}

function setMark(bit: number): readonly Expression[] {
  const mark = markBytes(bit);
  return [
    meta(n.NFT_META_MARK),
    bitwise(
      mark.map((byte) => ~byte),
      mark,
    ),
    metaSet(n.NFT_META_MARK),
  ];
}

function masqueradeMarked(bit: number): readonly Expression[] {
  const mark = markBytes(bit);
  const none = new Uint8Array(4);
  return [
    meta(n.NFT_META_MARK),
    bitwise(mark, none),
    cmp(n.NFT_CMP_EQ, mark),
    ct(n.NFT_CT_STATUS),
    bitwise(Uint8Array.of(IPS_DST_NAT, 0, 0, 0), none),
    cmp(n.NFT_CMP_NEQ, none),
    masquerade(),
  ];
}

function loadKey(family: Family, withAddress: boolean, word: number): readonly Expression[] {
  if (!withAddress) return loadService(word);
  return [loadAddress("daddr", family, word), ...loadService(word + addressField(family).length / 4)];
}

function rewrite(family: Family, withAddress: boolean): readonly Expression[] {
  const port = register(addressField(family).length / 4);
  return [
    lookupMap(portMapName(family, withAddress), register(0)),
    nat(n.NFT_NAT_DNAT, netfilterFamily(family), { address: register(0), port }),
  ];
}

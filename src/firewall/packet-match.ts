/** Pieces of rules: what of a packet is loaded into which register, and what is asked of it, as nft and iptables write it. */
import { type Cidr, networkOf, parseCidr } from "../addr/cidr.ts";
import type { Family } from "../addr/ip.ts";
import * as n from "../netlink/nftables-constants.ts";
import { bitwise, cmp, type Expression, fib, meta, payload, register } from "../netlink/nftables-expression.ts";
import { type Field, ipv4Field, ipv6Field } from "../netlink/nftables-set.ts";

/** include/uapi/linux/rtnetlink.h */
const RTN_LOCAL = 2;

/** Which address of a packet. */
export type Side = "saddr" | "daddr";

/** All multicast addresses. */
export const multicasts: Readonly<Record<Family, Cidr>> = {
  4: parseCidr("224.0.0.0/4"),
  6: parseCidr("ff00::/8"),
};

export function addressField(family: Family): Field {
  return family === 4 ? ipv4Field : ipv6Field;
}

export function netfilterFamily(family: Family): number {
  return family === 4 ? n.NFPROTO_IPV4 : n.NFPROTO_IPV6;
}

/** An address as it stands in the packet. */
export function loadAddress(side: Side, family: Family, word = 0): Expression {
  const offset = addressOffset(family, side);
  return payload(n.NFT_PAYLOAD_NETWORK_HEADER, offset, addressField(family).length, register(word));
}

/** The transport protocol, and behind it the destination's port. */
export function loadService(word: number): readonly Expression[] {
  return [meta(n.NFT_META_L4PROTO, register(word)), payload(n.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, register(word + 1))];
}

export function matchFamily(family: Family): readonly Expression[] {
  return [meta(n.NFT_META_NFPROTO), cmp(n.NFT_CMP_EQ, Uint8Array.of(netfilterFamily(family)))];
}

/** Goes on with packets that are for this host. */
export const matchLocalDestination: readonly Expression[] = [
  fib(n.NFT_FIB_RESULT_ADDRTYPE, n.NFTA_FIB_F_DADDR),
  cmp(n.NFT_CMP_EQ, Uint8Array.of(RTN_LOCAL, 0, 0, 0)),
];

/**
 * Goes on for packets whose address is in the network, or with "outside" is not. Whole bytes of a prefix are loaded and
 * compared, others are masked: iptables and nft read it back only so.
 */
export function matchNetwork(side: Side, cidr: Cidr, where: "inside" | "outside" = "inside"): readonly Expression[] {
  const { family, address, prefixLength } = networkOf(cidr);
  const op = where === "inside" ? n.NFT_CMP_EQ : n.NFT_CMP_NEQ;
  const offset = addressOffset(family, side);
  if (prefixLength % 8 === 0 && prefixLength > 0) {
    const length = prefixLength / 8;
    return [payload(n.NFT_PAYLOAD_NETWORK_HEADER, offset, length), cmp(op, address.bytes.subarray(0, length))];
  }
  const length = address.bytes.length;
  return [
    payload(n.NFT_PAYLOAD_NETWORK_HEADER, offset, length),
    bitwise(maskBytes(length, prefixLength), new Uint8Array(length)),
    cmp(op, address.bytes),
  ];
}

/** Where the address stands in the header: struct iphdr, struct ipv6hdr. */
export function addressOffset(family: Family, side: Side): number {
  if (family === 4) return side === "saddr" ? 12 : 16;
  return side === "saddr" ? 8 : 24;
}

function maskBytes(length: number, prefixLength: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) {
    bytes[index] = 0xff << (8 - Math.min(8, Math.max(0, prefixLength - index * 8)));
  }
  return bytes;
}

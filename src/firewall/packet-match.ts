/** Pieces of rules: what of a packet is loaded into which register. */
import type { Family } from "../addr/ip.ts";
import * as n from "../netlink/nftables-constants.ts";
import { bitwise, cmp, type Expression, fib, meta, payload, register } from "../netlink/nftables-expression.ts";
import { type Field, ipv4Field, ipv6Field } from "../netlink/nftables-set.ts";

/** include/uapi/linux/rtnetlink.h */
const RTN_LOCAL = 2;
/** Where the addresses stand in an IP header. */
const sourceOffset = { 4: 12, 6: 8 } as const;
const destinationOffset = { 4: 16, 6: 24 } as const;

export function addressField(family: Family): Field {
  return family === 4 ? ipv4Field : ipv6Field;
}

export function netfilterFamily(family: Family): number {
  return family === 4 ? n.NFPROTO_IPV4 : n.NFPROTO_IPV6;
}

export function loadSource(family: Family, word = 0): Expression {
  return payload(n.NFT_PAYLOAD_NETWORK_HEADER, sourceOffset[family], addressField(family).length, register(word));
}

export function loadDestination(family: Family, word = 0): Expression {
  return payload(n.NFT_PAYLOAD_NETWORK_HEADER, destinationOffset[family], addressField(family).length, register(word));
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

/** Goes on when the bytes at an address's place lie in a network, or with NFT_CMP_NEQ when they do not. */
export function matchNetworkBytes(
  load: Expression,
  op: number,
  network: Uint8Array,
  mask: Uint8Array,
): readonly Expression[] {
  const whole = mask.every((byte) => byte === 0xff);
  const masked = whole ? [] : [bitwise(mask, new Uint8Array(mask.length))];
  return [load, ...masked, cmp(op, network)];
}

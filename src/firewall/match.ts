/** What rules ask of packets, as nft and iptables write it, and what rules of others say. */
import { type Cidr, cidrOf, networkOf } from "../addr/cidr.ts";
import { type Family, familyBits, ipFromBytes } from "../addr/ip.ts";
import {
  NFT_CMP_EQ,
  NFT_CMP_NEQ,
  NFT_META_MARK,
  NFT_PAYLOAD_NETWORK_HEADER,
  NFT_REG_VERDICT,
} from "../netlink/nftables-constants.ts";
import type { FoundRule } from "../netlink/nftables-dump.ts";
import { bitwise, cmp, type Expression, meta, payload, type Verdict } from "../netlink/nftables-expression.ts";

/** Which address of a packet. */
export type Side = "saddr" | "daddr";

/** An accept of all packets from or to a network, the only condition of its rule. */
export interface NetworkMatch {
  readonly side: Side;
  readonly network: Cidr;
}

/**
 * Goes on for packets whose address is in the network, or with "outside" is not. Whole bytes of a prefix are loaded and
 * compared, others are masked: iptables and nft read it back only so.
 */
export function matchNetwork(side: Side, cidr: Cidr, where: "inside" | "outside" = "inside"): readonly Expression[] {
  const { family, address, prefixLength } = networkOf(cidr);
  const op = where === "inside" ? NFT_CMP_EQ : NFT_CMP_NEQ;
  const offset = addressOffset(family, side);
  if (prefixLength % 8 === 0 && prefixLength > 0) {
    const length = prefixLength / 8;
    return [payload(NFT_PAYLOAD_NETWORK_HEADER, offset, length), cmp(op, address.bytes.subarray(0, length))];
  }
  const length = address.bytes.length;
  const mask = maskBytes(length, prefixLength);
  return [
    payload(NFT_PAYLOAD_NETWORK_HEADER, offset, length),
    bitwise(mask, new Uint8Array(length)),
    cmp(op, address.bytes),
  ];
}

/** Goes on for packets that carry all bits of the mark. */
export function matchMark(mark: number): readonly Expression[] {
  const bytes = Uint8Array.of(mark, mark >>> 8, mark >>> 16, mark >>> 24);
  return [meta(NFT_META_MARK), bitwise(bytes, new Uint8Array(4)), cmp(NFT_CMP_EQ, bytes)];
}

/** The network that a rule's only condition names, undefined for a rule with another or no condition. */
export function findNetworkMatch(rule: FoundRule, family: Family): NetworkMatch | undefined {
  const [load, ...rest] = rule.expressions.filter((expression) => !isSilent(expression) && !isVerdict(expression));
  const masked = rest.length === 2 ? rest[0] : undefined;
  const compare = rest.at(-1);
  if (load?.name !== "payload" || compare?.name !== "cmp" || rest.length > 2) return undefined;
  if (masked !== undefined && masked.name !== "bitwise") return undefined;
  const [, base, offset, length] = load.values;
  const [, op, value] = compare.values;
  const side = (["saddr", "daddr"] as const).find((one) => addressOffset(family, one) === offset);
  if (base !== NFT_PAYLOAD_NETWORK_HEADER || op !== NFT_CMP_EQ || side === undefined) return undefined;
  if (!(value instanceof Uint8Array) || typeof length !== "number" || value.length !== length) return undefined;
  const prefixLength = masked === undefined ? length * 8 : findPrefixLength(masked.values[3]);
  if (prefixLength === undefined || length * 8 > familyBits(family)) return undefined;
  const bytes = new Uint8Array(familyBits(family) / 8);
  bytes.set(value);
  return { side, network: cidrOf(ipFromBytes(bytes), prefixLength) };
}

/** The verdict of a rule that has no condition, undefined for one with a condition. A reject counts as a drop. */
export function findUnconditionalVerdict(rule: FoundRule): Verdict | "drop" | undefined {
  const telling = rule.expressions.filter((expression) => !isSilent(expression));
  const [only] = telling;
  if (telling.length !== 1 || only === undefined) return undefined;
  if (only.name === "reject") return "drop";
  if (only.name === "target") return only.values[0] === "REJECT" || only.values[0] === "DROP" ? "drop" : undefined;
  const verdict = findVerdict(only);
  return verdict?.code === 0 ? "drop" : verdict;
}

/** The verdict of a rule, whatever its conditions. */
export function verdictOf(rule: FoundRule): Verdict | undefined {
  for (const expression of rule.expressions) {
    const verdict = findVerdict(expression);
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}

/** A rule's comment, as nft writes it or as iptables does: a match whose data are the text and NUL bytes. */
export function commentOf(rule: FoundRule): string | undefined {
  if (rule.comment !== undefined) return rule.comment;
  const info = rule.expressions.find(isComment)?.values[2];
  if (!(info instanceof Uint8Array)) return undefined;
  const end = info.indexOf(0);
  return new TextDecoder().decode(end < 0 ? info : info.subarray(0, end));
}

/** Where the address stands in the header: struct iphdr, struct ipv6hdr. */
function addressOffset(family: Family, side: Side): number {
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

/** Undefined for what is not a mask of leading ones. */
function findPrefixLength(mask: unknown): number | undefined {
  if (!(mask instanceof Uint8Array)) return undefined;
  let prefixLength = 0;
  for (const byte of mask) {
    if (prefixLength % 8 !== 0 && byte !== 0) return undefined;
    const ones = Math.clz32(~(byte << 24));
    if (((byte << ones) & 0xff) !== 0) return undefined;
    prefixLength += ones;
  }
  return prefixLength;
}

/** What neither asks anything of a packet nor decides about it. */
function isSilent(expression: Expression): boolean {
  return expression.name === "counter" || expression.name === "log" || isComment(expression);
}

function isComment({ name, values }: Expression): boolean {
  return name === "match" && values[0] === "comment";
}

function isVerdict(expression: Expression): boolean {
  return findVerdict(expression) !== undefined;
}

function findVerdict({ name, values }: Expression): Verdict | undefined {
  const [destination, data] = values;
  if (name !== "immediate" || destination !== NFT_REG_VERDICT) return undefined;
  return typeof data === "object" && "code" in data ? data : undefined;
}

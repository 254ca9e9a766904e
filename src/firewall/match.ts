/** What rules ask of packets, as nft and iptables write it, and what rules of others say. */
import { type Cidr, cidrOf } from "../addr/cidr.ts";
import { type Family, familyBits, ipFromBytes } from "../addr/ip.ts";
import {
  NFT_CMP_EQ,
  NFT_META_MARK,
  NFT_PAYLOAD_NETWORK_HEADER,
  NFT_REG_VERDICT,
} from "../netlink/nftables-constants.ts";
import type { FoundRule } from "../netlink/nftables-dump.ts";
import { bitwise, cmp, type Expression, meta, type Verdict } from "../netlink/nftables-expression.ts";
import { addressOffset, type Side } from "./packet-match.ts";

/** An accept of all packets from or to a network, the only condition of its rule. */
export interface NetworkMatch {
  readonly side: Side;
  readonly network: Cidr;
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

/** The length of a prefix by its mask, undefined for what is not a mask of leading ones. */
export function findPrefixLength(mask: unknown): number | undefined {
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

/**
 * Rules of others in the host's chain FORWARD that make no difference to ours, wherever they stand: read where they lie, as
 * there may be thousands, and thousands of events about them a second. For the daemon alone.
 */
import { NLA_TYPE_MASK } from "../netlink/constants.ts";
import * as n from "../netlink/nftables-constants.ts";
import { beginsWith, endOf, familyHeaderLength, findAttribute, headerLength, isName, nameOf } from "./scan.ts";

/** What marks a rule in a chain of others as ours. */
export const forwardComment = "tartan forward";

/** Expressions that hand packets to nobody, whatever their data, but for those that are looked into. */
export const silentExpressions: readonly string[] = [
  "payload",
  "meta",
  "counter",
  "ct",
  "bitwise",
  "limit",
  "log",
  "reject",
  "fib",
  "rt",
  "byteorder",
  "quota",
  "connlimit",
  "exthdr",
  "socket",
];
/** Targets of iptables that hand packets to nobody; others may, such as NFQUEUE. */
export const silentTargets: readonly string[] = [
  "DROP",
  "REJECT",
  "LOG",
  "NFLOG",
  "MARK",
  "CONNMARK",
  "TCPMSS",
  "CHECKSUM",
  "DSCP",
  "CT",
];
/** What an expression is to us. Conditions end the rule for packets that they do not fit. */
type Kind = "silent" | "condition" | "lookup" | "match" | "target" | "verdict";

/** A name of up to twelve bytes as it stands in an expression: the attribute's header, and the text, filled up with zeros. */
interface ExpressionName {
  readonly kind: Kind;
  readonly header: number;
  readonly first: number;
  readonly second: number;
  readonly third: number;
}

const namesOfKinds: readonly (readonly [Kind, readonly string[]])[] = [
  ["silent", silentExpressions],
  ["condition", ["cmp", "range"]],
  ["lookup", ["lookup"]],
  ["match", ["match"]],
  ["target", ["target"]],
  ["verdict", ["immediate"]],
];
const names: readonly ExpressionName[] = namesOfKinds.flatMap(([kind, texts]) =>
  texts.map(nameOf).map(({ length, words: [first = 0, second = 0, third = 0] }) => {
    return { kind, header: (n.NFTA_EXPR_NAME << 16) | (headerLength + length), first, second, third };
  }),
);
/** By the first four bytes, which no two have in common. */
const namesByStart: ReadonlyMap<number, ExpressionName> = new Map(names.map((name) => [name.first, name]));
const silentTargetNames = silentTargets.map(nameOf);
const commentMatch = nameOf("comment");
const forwardText = nameOf(forwardComment);
/** The shortest expression has a header, the name's header and a name. */
const minimalLength = headerLength + headerLength + 4;
/** An immediate with a verdict and no chain: its length, and the headers of the last two attributes, each in the other. */
const plainVerdict = { length: 48, verdict: (n.NFTA_DATA_VERDICT << 16) | 12, code: (n.NFTA_VERDICT_CODE << 16) | 8 };
/** The rule's own comment: type, length and text. */
const forwardUserdata = nameOf(String.fromCharCode(n.NFTNL_UDATA_COMMENT, forwardText.length) + forwardComment);
/** Attributes that the expressions have: enum nft_immediate_attributes, nft_match_attributes, nft_lookup_attributes. */
const NFTA_IMMEDIATE_DATA = 2;
const NFTA_MATCH_NAME = 1;
/** enum nft_target_attributes */
const NFTA_TARGET_NAME = 1;
const NFTA_MATCH_INFO = 3;
const NFTA_LOOKUP_DREG = 3;

/**
 * True for a rule, as it stands in the body of a message about it, that is not ours, decides about some packets only, and
 * sends none to another chain. What cannot be told is not ordinary. Where the body is in the datagram is in bytes.
 *
 * Loops are written out, with few calls: this runs for each expression of each rule, in a daemon whose code is compiled
 * once and not optimized (daemon/memory.ts).
 */
export function isOrdinaryRule(words: Int32Array, start: number, bodyEnd: number): boolean {
  let list = -1;
  for (let place = start + familyHeaderLength; place + headerLength <= bodyEnd;) {
    const header = words[place >>> 2] ?? 0;
    const length = header & 0xffff;
    if (length < headerLength) return false;
    const type = (header >>> 16) & NLA_TYPE_MASK;
    if (type === n.NFTA_RULE_EXPRESSIONS) list = place;
    else if (type === n.NFTA_RULE_USERDATA && beginsWith(words, place + headerLength, forwardUserdata)) return false;
    place += (length + 3) & ~3;
  }
  if (list < 0) return false;
  const end = endOf(words, list);
  let conditional = false;
  for (let element = list + headerLength; element + headerLength <= end;) {
    const at = element >>> 2;
    const last = element + ((words[at] ?? 0) & 0xffff);
    const name = namesByStart.get(words[at + 2] ?? 0);
    // The name is the first attribute.
    if (name === undefined || words[at + 1] !== name.header || last < element + minimalLength || last > end)
      return false;
    if (name.second !== 0 && (words[at + 3] !== name.second || (name.third !== 0 && words[at + 4] !== name.third)))
      return false;
    const { kind } = name;
    if (kind === "condition") conditional = true;
    else if (kind === "verdict") {
      if (!isPlainVerdict(words, at, last - element) && jumps(words, element)) return false;
    } else if (kind !== "silent") {
      const effect = effectOf(kind, words, element);
      if (effect === "unknown") return false;
      if (effect === "condition") conditional = true;
    }
    element = (last + 3) & ~3;
  }
  return conditional;
}

/** What an expression does whose data tell. */
function effectOf(
  kind: "lookup" | "match" | "target",
  words: Int32Array,
  element: number,
): "silent" | "condition" | "unknown" {
  const end = endOf(words, element);
  const data = dataOf(words, element);
  if (kind === "lookup") {
    // A map of verdicts may send packets anywhere.
    return findAttribute(words, data, end, NFTA_LOOKUP_DREG) >= 0 ? "unknown" : "condition";
  }
  if (kind === "match") {
    const match = findAttribute(words, data, end, NFTA_MATCH_NAME);
    if (match < 0) return "unknown";
    if (!isName(words, match, commentMatch)) return "condition";
    return isForwardComment(words, element) ? "unknown" : "silent";
  }
  const target = findAttribute(words, data, end, NFTA_TARGET_NAME);
  return target >= 0 && silentTargetNames.some((one) => isName(words, target, one)) ? "silent" : "unknown";
}

/** True for the usual accept and drop, by the bytes that all of them have; false for what is to be looked into. */
function isPlainVerdict(words: Int32Array, at: number, length: number): boolean {
  if (length !== plainVerdict.length || words[at + 9] !== plainVerdict.verdict) return false;
  const code = words[at + 11];
  return words[at + 10] === plainVerdict.code && (code === n.NF_DROP << 24 || code === n.NF_ACCEPT << 24);
}

/** True for a verdict that sends packets to another chain, or to a program. */
function jumps(words: Int32Array, element: number): boolean {
  const end = endOf(words, element);
  const data = findAttribute(words, dataOf(words, element), end, NFTA_IMMEDIATE_DATA);
  const verdict = data < 0 ? data : findAttribute(words, data + headerLength, endOf(words, data), n.NFTA_DATA_VERDICT);
  if (verdict < 0) return false;
  const code = findAttribute(words, verdict + headerLength, endOf(words, verdict), n.NFTA_VERDICT_CODE);
  if (code < 0) return true;
  // In network order: the last byte, as it came, is the lowest. A queue's number is in the upper half.
  const word = words[(code + headerLength) >>> 2] ?? 0;
  if ((word & 0xff) !== 0xff) return word >>> 24 === n.NF_QUEUE;
  // Both codes are small and negative.
  const value = (word >>> 24) - 256;
  return value === n.NFT_JUMP || value === n.NFT_GOTO;
}

function isForwardComment(words: Int32Array, element: number): boolean {
  const info = findAttribute(words, dataOf(words, element), endOf(words, element), NFTA_MATCH_INFO);
  return info < 0 || beginsWith(words, info + headerLength, forwardText);
}

/** Where the attributes of an expression begin; the end of the element where it has none. */
function dataOf(words: Int32Array, element: number): number {
  const end = endOf(words, element);
  const data = findAttribute(words, element + headerLength, end, n.NFTA_EXPR_DATA);
  return data < 0 ? end : data + headerLength;
}

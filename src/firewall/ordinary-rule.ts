/**
 * Rules of others in the host's chain FORWARD that make no difference to ours, wherever they stand: read byte by byte, as
 * there may be thousands, and thousands of events about them a second. For the daemon alone.
 */
import * as n from "../netlink/nftables-constants.ts";
import { bytesAre, endOf, familyHeaderLength, findAttribute, headerLength, isName, nameBytes, nextTo } from "./scan.ts";

/** What marks a rule in a chain of others as ours. */
export const forwardComment = "tartan forward";

const forwardBytes = nameBytes(forwardComment);
const lookup = nameBytes("lookup");
/** Expressions that end the rule for packets that they do not fit. */
const conditions = [nameBytes("cmp"), lookup, nameBytes("range")];
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
const silentNames = silentExpressions.map(nameBytes);
const silentTargetNames = silentTargets.map(nameBytes);
const target = nameBytes("target");
const immediate = nameBytes("immediate");
const match = nameBytes("match");
const commentMatch = nameBytes("comment");
/** Type and length of an entry of a rule's user data. */
const entryHeaderLength = 2;
/** Attributes that the expressions have: enum nft_immediate_attributes, nft_match_attributes, nft_lookup_attributes. */
const NFTA_IMMEDIATE_DATA = 2;
const NFTA_MATCH_NAME = 1;
/** enum nft_target_attributes */
const NFTA_TARGET_NAME = 1;
const NFTA_MATCH_INFO = 3;
const NFTA_LOOKUP_DREG = 3;

/**
 * True for a rule, as it stands in the body of a message about it, that is not ours, decides about some packets only, and
 * sends none to another chain. What cannot be told is not ordinary.
 */
export function isOrdinaryRule(body: Uint8Array, start: number, bodyEnd: number): boolean {
  const userdata = findAttribute(body, start + familyHeaderLength, bodyEnd, n.NFTA_RULE_USERDATA);
  if (userdata >= 0 && bytesAre(body, userdata + headerLength + entryHeaderLength, forwardBytes)) return false;
  const list = findAttribute(body, start + familyHeaderLength, bodyEnd, n.NFTA_RULE_EXPRESSIONS);
  if (list < 0) return false;
  let conditional = false;
  const end = endOf(body, list);
  for (let element = list + headerLength; element + headerLength <= end; element = nextTo(body, element)) {
    const last = endOf(body, element);
    if (last < element + headerLength || last > end) return false;
    const name = findAttribute(body, element + headerLength, last, n.NFTA_EXPR_NAME);
    if (name < 0) return false;
    if (isName(body, name, immediate)) {
      if (jumps(body, element)) return false;
    } else if (isName(body, name, match)) {
      const kind = findAttribute(body, dataOf(body, element), last, NFTA_MATCH_NAME);
      if (kind < 0) return false;
      if (!isName(body, kind, commentMatch)) conditional = true;
      else if (isForwardComment(body, element)) return false;
    } else if (conditions.some((one) => isName(body, name, one))) {
      // A map of verdicts may send packets anywhere.
      if (isName(body, name, lookup) && findAttribute(body, dataOf(body, element), last, NFTA_LOOKUP_DREG) >= 0)
        return false;
      conditional = true;
    } else if (isName(body, name, target)) {
      const kind = findAttribute(body, dataOf(body, element), last, NFTA_TARGET_NAME);
      if (kind < 0 || !silentTargetNames.some((one) => isName(body, kind, one))) return false;
    } else if (!silentNames.some((one) => isName(body, name, one))) {
      return false;
    }
  }
  return conditional;
}

/** True for a verdict that sends packets to another chain, or to a program. */
function jumps(body: Uint8Array, element: number): boolean {
  const end = endOf(body, element);
  const data = findAttribute(body, dataOf(body, element), end, NFTA_IMMEDIATE_DATA);
  const verdict = data < 0 ? data : findAttribute(body, data + headerLength, endOf(body, data), n.NFTA_DATA_VERDICT);
  if (verdict < 0) return false;
  const code = findAttribute(body, verdict + headerLength, endOf(body, verdict), n.NFTA_VERDICT_CODE);
  if (code < 0) return true;
  // In network order. A queue's number is in the upper half.
  if ((body[code + headerLength] ?? 0) !== 0xff) return body[code + headerLength + 3] === n.NF_QUEUE;
  // Both codes are small and negative.
  const value = (body[code + headerLength + 3] ?? 0) - 256;
  return value === n.NFT_JUMP || value === n.NFT_GOTO;
}

function isForwardComment(body: Uint8Array, element: number): boolean {
  const info = findAttribute(body, dataOf(body, element), endOf(body, element), NFTA_MATCH_INFO);
  return info < 0 || bytesAre(body, info + headerLength, forwardBytes);
}

/** Where the attributes of an expression begin; the end of the element where it has none. */
function dataOf(body: Uint8Array, element: number): number {
  const end = endOf(body, element);
  const data = findAttribute(body, element + headerLength, end, n.NFTA_EXPR_DATA);
  return data < 0 ? end : data + headerLength;
}

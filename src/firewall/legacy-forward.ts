/** The chain FORWARD of iptables-legacy, as the kernel gives out its rules: include/uapi/linux/netfilter/x_tables.h. Pure. */
import { type Cidr, cidrEquals, cidrOf } from "../addr/cidr.ts";
import { type Family, familyBits, ipFromBytes } from "../addr/ip.ts";
import { readU16, readU32 } from "../base/bytes.ts";
import { findPrefixLength } from "./match.ts";

/** A table: struct ipt_getinfo, or ip6t_getinfo, and its entries. */
export interface LegacyTable {
  readonly info: Uint8Array;
  readonly entries: Uint8Array;
}

/** Where FORWARD drops what it has not decided on: the number of the rule, undefined for the policy. */
export interface LegacyDrop {
  readonly rule: number | undefined;
}

/** struct ipt_getinfo: name, valid_hooks, hook_entry[5], underflow[5], num_entries, size */
export const infoLength = 84;
const sizeOffset = 80;
const hookEntryOffset = 36;
const underflowOffset = 56;
const NF_INET_FORWARD = 2;
/** The lengths of struct ipt_ip and ipt_entry, ip6t_ip6 and ip6t_entry; after the first stand 4 bytes and two offsets. */
const layouts = { 4: { match: 84, entry: 112 }, 6: { match: 136, entry: 168 } } as const;
/** struct xt_entry_match and xt_entry_target: size, name, revision; a standard target's verdict follows. */
const nameOffset = 2;
const nameLength = 29;
const verdictOffset = 32;
const standardDrop = -1;
const standardAccept = -2;

/** The length of a table's entries in bytes. */
export function sizeOf(info: Uint8Array): number {
  return readU32(info, sizeOffset);
}

/** Looks whether FORWARD drops packets from or to the network, undefined when it does not. */
export function findLegacyDrop(family: Family, { info, entries }: LegacyTable, network: Cidr): LegacyDrop | undefined {
  const last = readU32(info, underflowOffset + 4 * NF_INET_FORWARD);
  const accepted = new Set<string>();
  let number = 1;
  for (let start = readU32(info, hookEntryOffset + 4 * NF_INET_FORWARD); start <= last; number++) {
    const rule = entries.subarray(start);
    const length = readU16(rule, layouts[family].match + 6);
    if (length === 0) return undefined;
    const verdict = verdictOf(family, rule);
    const condition = verdict === undefined ? undefined : conditionOf(family, rule, network);
    if (condition === "none" && verdict === "accept") return undefined;
    if (condition === "none" && verdict === "drop") {
      const covered = accepted.has("from") && accepted.has("to");
      return covered ? undefined : { rule: start === last ? undefined : number };
    }
    if (condition !== undefined && verdict === "accept") accepted.add(condition);
    start += length;
  }
  return undefined;
}

function verdictOf(family: Family, rule: Uint8Array): "accept" | "drop" | undefined {
  const target = rule.subarray(readU16(rule, layouts[family].match + 4));
  const name = nameOf(target);
  if (name === "REJECT") return "drop";
  if (name !== "") return undefined;
  const verdict = readU32(target, verdictOffset) | 0;
  return verdict === standardDrop ? "drop" : verdict === standardAccept ? "accept" : undefined;
}

/** What a rule asks of packets: nothing, to be from or to the network and nothing else, or something else. */
function conditionOf(family: Family, rule: Uint8Array, network: Cidr): "none" | "from" | "to" | undefined {
  const { match, entry } = layouts[family];
  const end = readU16(rule, match + 4);
  for (let start = entry; start < end;) {
    const size = readU16(rule, start);
    if (size === 0 || nameOf(rule.subarray(start)) !== "comment") return undefined;
    start += size;
  }
  const width = familyBits(family) / 8;
  if (rule.subarray(4 * width, match).some((byte) => byte !== 0)) return undefined;
  const [source, destination, sourceMask, destinationMask] = [0, 1, 2, 3].map((index) =>
    rule.slice(index * width, (index + 1) * width),
  );
  const from = sidePrefix(source, sourceMask);
  const to = sidePrefix(destination, destinationMask);
  if (from === undefined || to === undefined) return undefined;
  if (from.prefixLength === 0 && to.prefixLength === 0) return "none";
  if (to.prefixLength === 0 && cidrEquals(from, network)) return "from";
  return from.prefixLength === 0 && cidrEquals(to, network) ? "to" : undefined;
}

function sidePrefix(address: Uint8Array | undefined, mask: Uint8Array | undefined): Cidr | undefined {
  const prefixLength = findPrefixLength(mask);
  return address === undefined || prefixLength === undefined ? undefined : cidrOf(ipFromBytes(address), prefixLength);
}

function nameOf(extension: Uint8Array): string {
  const bytes = extension.subarray(nameOffset, nameOffset + nameLength);
  const end = bytes.indexOf(0);
  return new TextDecoder("latin1").decode(end < 0 ? bytes : bytes.subarray(0, end));
}

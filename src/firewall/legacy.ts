/**
 * iptables-legacy: the kernel's older rules, which nf_tables does not show. They are read, never changed: what upstream
 * left there, and that they drop pods' packets, is reported with the commands that put it right.
 */
import { type Cidr, formatCidr } from "../addr/cidr.ts";
import type { Family } from "../addr/ip.ts";
import { allocate } from "../base/bytes.ts";
import { SyscallError } from "../sys/errno.ts";
import { findText } from "../sys/file.ts";
import { getOptionBytes, openSocket, socketConstants } from "../sys/socket.ts";
import { findLegacyDrop, infoLength, type LegacyTable, sizeOf } from "./legacy-forward.ts";
import { hostForwardChain } from "./host-forward.ts";
import { upstreamChains, upstreamForwardChain } from "./upstream.ts";

/** include/uapi/linux/netfilter_ipv4/ip_tables.h, …_ipv6/ip6_tables.h: the same but for the level. */
const IPT_SO_GET_INFO = 64;
const IPT_SO_GET_ENTRIES = 65;
const IPPROTO_RAW = 255;
const XT_TABLE_MAXNAMELEN = 32;
/** Where the entries begin in struct ipt_get_entries: at a multiple of 8. */
const entriesOffset = 40;

/**
 * What is in iptables-legacy that should not be, with the commands that put it right, in lines for people; nothing where
 * the kernel has no such tables in use. `network` is undefined where pods' packets need not be forwarded.
 */
export function listLegacyAdvice(family: Family, network: Cidr | undefined): readonly string[] {
  const inUse = new Set((findText(`/proc/net/${family === 4 ? "ip" : "ip6"}_tables_names`) ?? "").split("\n"));
  const program = family === 4 ? "iptables-legacy" : "ip6tables-legacy";
  // Asking for a table that is not in use would make it.
  function found(name: string): LegacyTable | undefined {
    return inUse.has(name) ? findTable(family, name) : undefined;
  }
  const filter = found("filter");
  const accepts = network === undefined ? [] : missingAccepts(family, filter, network);
  const remains = upstreamChains.filter(({ table, chain }) => {
    const rules = found(table)?.entries;
    return rules !== undefined && new TextDecoder("latin1").decode(rules).includes(chain);
  });
  const advice = remains.map(({ table, chain, from, comment }) => {
    const jump = `-D ${from} -m comment --comment "${comment}" -j ${chain}`;
    const steps = [jump, `-F ${chain}`, `-X ${chain}`].map((words) => `-t ${table} ${words}`);
    const first = chain === upstreamForwardChain ? accepts : [];
    const why = first.length === 0 ? "" : ", whose chain FORWARD drops what nothing else there accepts";
    const commands = commandsOf(program, [...first, ...steps]);
    return `chain ${chain} of upstream's flanneld is in iptables-legacy${why}; to remove it: ${commands}`;
  });
  if (accepts.length === 0 || remains.some(({ chain }) => chain === upstreamForwardChain)) return advice;
  const dropping = "chain FORWARD of iptables-legacy drops pods' packets, whatever is accepted in nf_tables";
  return [...advice, `${dropping}; to let them pass: ${commandsOf(program, accepts)}`];
}

function commandsOf(program: string, lines: readonly string[]): string {
  return lines.map((words) => `${program} ${words}`).join("; ");
}

/** What accepts pods' packets where FORWARD drops them, the policy behind all rules or one of the rules. */
function missingAccepts(family: Family, filter: LegacyTable | undefined, network: Cidr): readonly string[] {
  const drop = filter === undefined ? undefined : findLegacyDrop(family, filter, network);
  if (drop === undefined) return [];
  const place = drop.rule === undefined ? `-A ${hostForwardChain}` : `-I ${hostForwardChain} ${drop.rule}`;
  return ["-s", "-d"].map((option) => `-t filter ${place} ${option} ${formatCidr(network)} -j ACCEPT`);
}

/** A table as the kernel keeps it, in which the names of chains stand as text; undefined when it cannot be read. */
function findTable(family: Family, table: string): LegacyTable | undefined {
  const { AF_INET, AF_INET6, SOCK_RAW } = socketConstants;
  const level = family === 4 ? 0 : 41;
  try {
    using socket = openSocket(family === 4 ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW);
    const info = tableQuestion(table, infoLength);
    getOptionBytes(socket, level, IPT_SO_GET_INFO, info);
    const size = sizeOf(info);
    const entries = tableQuestion(table, entriesOffset + size);
    entries.set(info.subarray(-4), XT_TABLE_MAXNAMELEN);
    getOptionBytes(socket, level, IPT_SO_GET_ENTRIES, entries);
    return { info, entries: entries.subarray(entriesOffset) };
  } catch (error) {
    // It may have changed in between, or be out of reach: then there is nothing to report.
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

function tableQuestion(table: string, length: number): Uint8Array {
  const bytes = allocate(length);
  bytes.set(new TextEncoder().encode(table));
  return bytes;
}

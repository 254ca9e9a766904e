/**
 * iptables-legacy: the kernel's older rules, which nf_tables does not show. They are read, never changed: what upstream
 * left there is reported with the command that removes it.
 */
import type { Family } from "../addr/ip.ts";
import { allocate, readU32 } from "../base/bytes.ts";
import { SyscallError } from "../sys/errno.ts";
import { findText } from "../sys/file.ts";
import { getOptionBytes, openSocket, socketConstants } from "../sys/socket.ts";
import { upstreamChains } from "./upstream.ts";

/** include/uapi/linux/netfilter_ipv4/ip_tables.h, …_ipv6/ip6_tables.h: the same but for the level. */
const IPT_SO_GET_INFO = 64;
const IPT_SO_GET_ENTRIES = 65;
const IPPROTO_RAW = 255;
const XT_TABLE_MAXNAMELEN = 32;
const infoLength = 84;
/** Where `num_entries` and `size` stand in struct ipt_getinfo; the entries follow struct ipt_get_entries at a multiple of 8. */
const sizeOffset = 80;
const entriesOffset = 40;

/** A rule of upstream's in iptables-legacy, and how to get rid of it. */
export interface LegacyRemains {
  readonly chain: string;
  readonly command: string;
}

/** Reads what upstream left in iptables-legacy; nothing where the kernel has no such tables in use. */
export function listLegacyRemains(family: Family): readonly LegacyRemains[] {
  const inUse = new Set((findText(`/proc/net/${family === 4 ? "ip" : "ip6"}_tables_names`) ?? "").split("\n"));
  const program = family === 4 ? "iptables-legacy" : "ip6tables-legacy";
  return upstreamChains.flatMap(({ table, chain, from, comment }) => {
    // Asking for a table that is not in use would make it.
    if (!inUse.has(table) || !findRules(family, table).includes(chain)) return [];
    const jump = `-D ${from} -m comment --comment "${comment}" -j ${chain}`;
    const steps = [jump, `-F ${chain}`, `-X ${chain}`].map((words) => `${program} -t ${table} ${words}`);
    return [{ chain, command: steps.join("; ") }];
  });
}

/** A table's rules as the kernel keeps them, in which the names of chains stand as text; empty when they cannot be read. */
function findRules(family: Family, table: string): string {
  const { AF_INET, AF_INET6, SOCK_RAW } = socketConstants;
  const level = family === 4 ? 0 : 41;
  try {
    using socket = openSocket(family === 4 ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW);
    const info = tableQuestion(table, infoLength);
    getOptionBytes(socket, level, IPT_SO_GET_INFO, info);
    const size = readU32(info, sizeOffset);
    const entries = tableQuestion(table, entriesOffset + size);
    entries.set(info.subarray(sizeOffset, sizeOffset + 4), XT_TABLE_MAXNAMELEN);
    getOptionBytes(socket, level, IPT_SO_GET_ENTRIES, entries);
    return new TextDecoder("latin1").decode(entries);
  } catch (error) {
    // It may have changed in between, or be out of reach: then there is nothing to report.
    if (error instanceof SyscallError) return "";
    throw error;
  }
}

function tableQuestion(table: string, length: number): Uint8Array {
  const bytes = allocate(length);
  bytes.set(new TextEncoder().encode(table));
  return bytes;
}

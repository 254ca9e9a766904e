/**
 * What flanneld leaves in iptables-nft's tables (pkg/trafficmngr/iptables/iptables.go): a chain, and a jump to it. Removed
 * once ours is in force, so that every packet meets the one or the other. Tables of its nft mode have the names of ours
 * and become ours by being compared.
 */
import type { Family } from "../addr/ip.ts";
import type { Request } from "../netlink/message.ts";
import { findChain, type FoundRule, listRules } from "../netlink/nftables-dump.ts";
import { deleteChain, deleteRule, flushChain, type Table, tableFamily, tableText } from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { verdictOf } from "./match.ts";
import type { Repair } from "./table.ts";

export const upstreamForwardChain = "FLANNEL-FWD";

/** A chain that upstream makes: its table, and the chain that jumps to it. */
interface UpstreamPlace {
  readonly table: string;
  readonly chain: string;
  readonly from: string;
  /** The comment of its rules. */
  readonly comment: string;
}

/** All that upstream makes in iptables. */
export const upstreamChains: readonly UpstreamPlace[] = [
  { table: "nat", chain: "FLANNEL-POSTRTG", from: "POSTROUTING", comment: "flanneld masq" },
  { table: "filter", chain: upstreamForwardChain, from: "FORWARD", comment: "flanneld forward" },
];

/** One of upstream's chains as it is found. */
export interface UpstreamChain {
  readonly table: Table;
  readonly chain: string;
  readonly from: string;
  /** The rules of the chain that jumps to it. */
  readonly rules: readonly FoundRule[];
}

/** Reads which of upstream's chains are there. */
export function listUpstreamChains(socket: NetlinkSocket, family: Family): readonly UpstreamChain[] {
  return upstreamChains.flatMap(({ table: name, chain, from }) => {
    const table = { family: tableFamily(family), name };
    if (findChain(socket, table, chain) === undefined) return [];
    return [{ table, chain, from, rules: listRules(socket, table, from) }];
  });
}

/** Removes a chain of upstream's and the jumps to it. */
export function planRemoval({ table, chain, from, rules }: UpstreamChain): Repair {
  const jumps = rules.filter((rule) => verdictOf(rule)?.chain === chain);
  const requests: readonly Request[] = [
    ...jumps.map(({ handle }) => deleteRule(table, from, handle)),
    flushChain(table, chain),
    deleteChain(table, chain),
  ];
  return { problems: [`chain ${tableText(table)} ${chain} of upstream's flanneld`], requests };
}

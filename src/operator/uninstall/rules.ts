/** Removal of what the plugins keep in nf_tables: after a move back to upstream's plugins nobody else does it. */
import { families } from "../../addr/ip.ts";
import { applyFirewall } from "../../firewall/firewall.ts";
import type { NamedOwner } from "../../firewall/pod-owner.ts";
import { guardTable } from "../../firewall/mac-guard.ts";
import { listPodSets, podTable, sweepSets } from "../../firewall/pod-table.ts";
import { findLink } from "../../netlink/link.ts";
import { NETLINK_NETFILTER } from "../../netlink/nftables-constants.ts";
import { findTable } from "../../netlink/nftables-dump.ts";
import { changeRuleset } from "../../netlink/nftables-transaction.ts";
import { deleteTable, tableText } from "../../netlink/nftables.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";

const tables = [podTable, guardTable];

/**
 * Removes what belongs to pods whose device of the host is gone, or of which no device is known; returns what was done,
 * in lines for people.
 */
export function removeStaleRules(): readonly string[] {
  using netfilter = new NetlinkSocket(NETLINK_NETFILTER);
  using route = new NetlinkSocket();
  const gone = new Map<string, boolean>();
  function isGone({ device }: NamedOwner): boolean {
    if (device === undefined) return true;
    const known = gone.get(device) ?? findLink(route, { name: device }) === undefined;
    gone.set(device, known);
    return known;
  }
  return tables.map((table) => {
    const count = sweepSets(netfilter, () => ({ table, sets: listPodSets(netfilter, table) }), isGone);
    return `Table ${tableText(table)}: ${count} elements of pods that are gone are removed.`;
  });
}

/** Removes the plugins' tables, with what belongs to pods that are there; returns what was done, in lines for people. */
export function removeAllRules(): readonly string[] {
  using netfilter = new NetlinkSocket(NETLINK_NETFILTER);
  const removed = changeRuleset(
    netfilter,
    () => tables.filter((table) => findTable(netfilter, table) !== undefined).map(deleteTable),
    { anyGeneration: true },
  );
  if (removed.length === 0) return ["There are no rules of the plugins here."];
  return removed.map(({ text }) => `removed ${text.replace(/^delete /, "")}`);
}

/**
 * Removes what the daemon keeps in nf_tables: masquerade, and the acceptance of pods' packets. Returns what was done, in
 * lines for people. Throws an Error that says what could not be removed.
 */
export function removeDaemonRules(): readonly string[] {
  const lines: string[] = [];
  const failed: string[] = [];
  using netfilter = new NetlinkSocket(NETLINK_NETFILTER);
  for (const family of families) {
    const outcome = applyFirewall(netfilter, { family, pods: undefined, masquerade: undefined, forward: false });
    lines.push(...[...outcome.repaired, ...outcome.removed].map(removalText));
    failed.push(...outcome.failed);
  }
  if (failed.length > 0) throw new Error(`Cannot remove the daemon's rules: ${failed.join("; ")}`);
  return lines;
}

/** What was not as wanted is a thing that was not wanted at all, or says itself what was removed of it. */
function removalText(problem: string): string {
  const name = problem.replace(/ not wanted$/, "");
  return name === problem ? problem : `removed ${name}`;
}

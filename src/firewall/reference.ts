/**
 * What the reference plugins made for a container with iptables-nft or nft (plugins v1.9.1): it is found by the names and
 * comments that follow from network and container, and removed with nothing else. Rules of iptables-legacy are not
 * nf_tables', and stay.
 */
import { families } from "../addr/ip.ts";
import type { Request } from "../netlink/message.ts";
import { NFPROTO_BRIDGE, NFPROTO_INET } from "../netlink/nftables-constants.ts";
import { type FoundRule, listRules } from "../netlink/nftables-dump.ts";
import { changeRuleset } from "../netlink/nftables-transaction.ts";
import {
  deleteChain,
  deleteRule,
  flushChain,
  getChain,
  getTable,
  type Table,
  tableFamily,
} from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { sha512 } from "../sys/hash.ts";
import type { PodOwner } from "./pod-owner.ts";

/** Chains of one container, the first of which rules of another chain jump to; they go with those rules. */
interface OwnChains {
  readonly table: Table;
  readonly parent: string;
  /** In the order in which they can be removed: each before those it jumps to. */
  readonly chains: readonly string[];
}

/** Rules of one container among those of others, told by their comments. */
interface OwnRules {
  readonly table: Table;
  readonly chain: string;
  readonly isOwn: (comment: string) => boolean;
}

/** What a plugin made for one container. */
interface Traces {
  readonly chains: readonly OwnChains[];
  readonly rules: readonly OwnRules[];
}

/** pkg/utils: a chain's name is as long as iptables allows. */
const chainNameLength = 28;

/** Removes the host ports that the reference portmap made, by either of its backends; false when there are none. */
export function removeReferencePorts(socket: NetlinkSocket, owner: PodOwner): boolean {
  return removeTraces(socket, portTraces(owner));
}

/** Removes the masquerade that the reference bridge made, by either of its backends; false when there is none. */
export function removeReferenceMasquerade(socket: NetlinkSocket, owner: PodOwner): boolean {
  return removeTraces(socket, masqueradeTraces(owner));
}

/** Removes the check of the MAC address that the reference bridge made; false when there is none. */
export function removeReferenceMacCheck(socket: NetlinkSocket, owner: PodOwner): boolean {
  return removeTraces(socket, macCheckTraces(owner));
}

/** True when the reference bridge's masquerade, by either of its backends, is in force. */
export function hasReferenceMasquerade(socket: NetlinkSocket, owner: PodOwner): boolean {
  return hasTraces(socket, masqueradeTraces(owner));
}

/** True when the reference bridge's check of the MAC address is in force. */
export function hasReferenceMacCheck(socket: NetlinkSocket, owner: PodOwner): boolean {
  return hasTraces(socket, macCheckTraces(owner));
}

function macCheckTraces({ containerId, interfaceName }: PodOwner): Traces {
  const chain = `cni-br-iface-${containerId}-${interfaceName}`;
  const table = { family: NFPROTO_BRIDGE, name: "nat" };
  return { chains: [{ table, parent: "PREROUTING", chains: [chain, `${chain}-mac`] }], rules: [] };
}

function portTraces({ network, containerId }: PodOwner): Traces {
  function isOwn(comment: string): boolean {
    return comment === containerId;
  }
  return {
    chains: families.flatMap((family) => {
      const table = { family: tableFamily(family), name: "nat" };
      return [
        { table, parent: "CNI-HOSTPORT-DNAT", chains: [chainName("CNI-DN-", network + containerId)] },
        // Made by old releases (before v0.8), which v1.9.1 still removes (genOldSnatChain).
        { table, parent: "CNI-HOSTPORT-SNAT", chains: [chainName("CNI-SN-", network + containerId)] },
      ];
    }),
    rules: families.flatMap((family) => {
      const table = { family: tableFamily(family), name: "cni_hostport" };
      return ["hostports", "hostip_hostports", "masquerading"].map((chain) => ({ table, chain, isOwn }));
    }),
  };
}

function masqueradeTraces({ network, containerId, interfaceName }: PodOwner): Traces {
  const prefix = `${hashText("", network, 16)}-${hashText("", `${interfaceName}:${containerId}`, 16)}`;
  return {
    chains: families.map((family) => ({
      table: { family: tableFamily(family), name: "nat" },
      parent: "POSTROUTING",
      chains: [chainName("CNI-", network + containerId)],
    })),
    rules: [
      {
        table: { family: NFPROTO_INET, name: "cni_plugins_masquerade" },
        chain: "masq_checks",
        isOwn: (comment) => comment.startsWith(prefix),
      },
    ],
  };
}

/** A chain counts that is jumped to, and has a rule itself. */
function hasTraces(socket: NetlinkSocket, { chains, rules }: Traces): boolean {
  return (
    chains.some(({ table, parent, chains: names }) =>
      names.some(
        (name) =>
          listRules(socket, table, parent).some((rule) => jumpsTo(rule, name)) &&
          listRules(socket, table, name).length > 0,
      ),
    ) || rules.some((one) => planRules(socket, one).length > 0)
  );
}

/** Nearly always nothing is there, which one question tells. */
function removeTraces(socket: NetlinkSocket, { chains, rules }: Traces): boolean {
  const own = chains.flatMap(({ table, chains: names }) => names.map((name) => getChain(table, name)));
  const shared = [...new Set(rules.map(({ table }) => table))].map(getTable);
  if (socket.ask([...own, ...shared]).every((reply) => reply === undefined)) return false;
  const sent = changeRuleset(
    socket,
    () => [...chains.flatMap((one) => planChains(socket, one)), ...rules.flatMap((one) => planRules(socket, one))],
    { anyGeneration: true },
  );
  return sent.length > 0;
}

function planChains(socket: NetlinkSocket, { table, parent, chains }: OwnChains): readonly Request[] {
  const present = chains.filter((name) => socket.ask([getChain(table, name)])[0] !== undefined);
  if (present.length === 0) return [];
  const jumps = listRules(socket, table, parent).filter((rule) => present.some((name) => jumpsTo(rule, name)));
  return [
    ...jumps.map(({ handle }) => deleteRule(table, parent, handle)),
    ...present.map((name) => flushChain(table, name)),
    ...present.map((name) => deleteChain(table, name)),
  ];
}

function planRules(socket: NetlinkSocket, { table, chain, isOwn }: OwnRules): readonly Request[] {
  const own = listRules(socket, table, chain).filter(({ comment }) => comment !== undefined && isOwn(comment));
  return own.map(({ handle }) => deleteRule(table, chain, handle));
}

function jumpsTo({ expressions }: FoundRule, chain: string): boolean {
  return expressions.some(({ values }) =>
    values.some((value) => typeof value === "object" && "chain" in value && value.chain === chain),
  );
}

function chainName(prefix: string, hashed: string): string {
  return hashText(prefix, hashed, chainNameLength);
}

function hashText(prefix: string, hashed: string, length: number): string {
  return (prefix + sha512(hashed).toHex()).slice(0, length);
}

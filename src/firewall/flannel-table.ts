/**
 * flannel's own tables, `ip flannel-ipv4` and `ip6 flannel-ipv6`: the names and chains of upstream's nft mode with the
 * effect of its iptables rules (pkg/trafficmngr/iptables/iptables.go), which its nft rules do not have.
 */
import type { Cidr } from "../addr/cidr.ts";
import type { Family } from "../addr/ip.ts";
import * as n from "../netlink/nftables-constants.ts";
import { type Expression, masquerade, verdict } from "../netlink/nftables-expression.ts";
import { type Table, tableFamily } from "../netlink/nftables.ts";
import { matchMark } from "./match.ts";
import { matchNetwork, multicasts } from "./packet-match.ts";
import type { ChainPlan, TablePlan } from "./table.ts";

/** What the daemon wants of the firewall for one address family. */
export interface FirewallSettings {
  readonly family: Family;
  /** The pod network and this node's part of it; undefined where the family is off. */
  readonly pods: { readonly network: Cidr; readonly subnet: Cidr } | undefined;
  /** Undefined where nothing is to be masqueraded. */
  readonly masquerade: MasqueradeSettings | undefined;
  /** True to have pods' packets forwarded where the host would drop them. */
  readonly forward: boolean;
}

interface MasqueradeSettings {
  /** Ports at random, so that two sources hardly ever want the same one (NF_NAT_RANGE_PROTO_RANDOM_FULLY). */
  readonly fullyRandom: boolean;
  /** Destinations that see the pod's own address, beside the pod network itself. */
  readonly except: readonly Cidr[];
}

const postroutingChain = "postrtg";
const forwardChain = "forward";
/** The mark by which kube-proxy says that it masquerades the packet itself (its --iptables-masquerade-bit, 14 by default). */
const kubeProxyMark = 0x4000;

/** The name of flannel's table, as upstream has it. */
export function flannelTable(family: Family): Table {
  return { family: tableFamily(family), name: `flannel-ipv${family}` };
}

/** The wanted table of one family; pure. */
export function planFlannelTable({ family, pods, masquerade: masq, forward }: FirewallSettings): TablePlan {
  const chains: ChainPlan[] = [];
  if (pods !== undefined && masq !== undefined) {
    const hook = { type: "nat", number: n.NF_INET_POST_ROUTING, priority: n.NF_IP_PRI_NAT_SRC, policy: n.NF_ACCEPT };
    chains.push({ name: postroutingChain, hook, rules: masqueradeRules(pods.network, pods.subnet, masq) });
  }
  if (pods !== undefined && forward) {
    const hook = { type: "filter", number: n.NF_INET_FORWARD, priority: n.NF_IP_PRI_FILTER, policy: n.NF_ACCEPT };
    chains.push({ name: forwardChain, hook, rules: acceptRules(pods.network) });
  }
  return {
    table: flannelTable(family),
    comment: `tartan: rules for flannel-ipv${family}`,
    chains,
    otherChains: [postroutingChain, forwardChain].filter((name) => !chains.some((chain) => chain.name === name)),
    leaveForeign: pods === undefined,
  };
}

/** Accepts packets from and to the pod network, in the form in which they stand in any table. */
export function acceptRules(network: Cidr): readonly (readonly Expression[])[] {
  return (["saddr", "daddr"] as const).map((side) => [...matchNetwork(side, network), verdict(n.NF_ACCEPT)]);
}

/** The rules in upstream's order; each packet takes the first that fits. */
function masqueradeRules(
  network: Cidr,
  subnet: Cidr,
  { fullyRandom, except }: MasqueradeSettings,
): readonly (readonly Expression[])[] {
  const leave = verdict(n.NFT_RETURN);
  const mask = masquerade(fullyRandom ? n.NF_NAT_RANGE_PROTO_RANDOM_FULLY : 0);
  const fromPods = matchNetwork("saddr", network);
  return [
    [...matchMark(kubeProxyMark), leave],
    [...matchNetwork("saddr", subnet), ...matchNetwork("daddr", network), leave],
    [...fromPods, ...matchNetwork("daddr", subnet), leave],
    [...matchNetwork("saddr", network, "outside"), ...matchNetwork("daddr", subnet), leave],
    ...except.map((cidr) => [...fromPods, ...matchNetwork("daddr", cidr), leave]),
    [...fromPods, ...matchNetwork("daddr", multicasts[network.family], "outside"), mask],
    [...matchNetwork("saddr", network, "outside"), ...matchNetwork("daddr", network), mask],
  ];
}

/**
 * The host's own chain FORWARD, which iptables-nft keeps in `ip filter` and `ip6 filter`. An accept in a chain of ours
 * does not keep another chain from dropping a packet, so that pods' packets must be accepted there, where it would drop
 * them; as late as possible, since an accept ahead of the jump to a network policy's chain would switch the policy off.
 */
import type { Family } from "../addr/ip.ts";
import { type Cidr, cidrEquals } from "../addr/cidr.ts";
import type { Request } from "../netlink/message.ts";
import * as n from "../netlink/nftables-constants.ts";
import { type FoundChain, findChain, type FoundRule, listRules } from "../netlink/nftables-dump.ts";
import { addRule, deleteRule, type Table, tableFamily, tableText } from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { acceptRules } from "./flannel-table.ts";
import { commentOf, findNetworkMatch, findUnconditionalVerdict, verdictOf } from "./match.ts";
import { forwardComment, isOrdinaryRule, silentExpressions, silentTargets } from "./ordinary-rule.ts";
import type { Side } from "./packet-match.ts";
import { wordsOf } from "./scan.ts";
import type { Repair } from "./table.ts";
import { upstreamForwardChain } from "./upstream.ts";

export const hostForwardChain = "FORWARD";

/** The chain as it is, without the rules of others that may stand anywhere. */
export interface HostForward {
  readonly family: Family;
  readonly chain: FoundChain;
  readonly rules: readonly FoundRule[];
}

/** What is to be done there, and why nothing is where something should be. */
export interface ForwardRepair extends Repair {
  readonly obstacle: string | undefined;
}

/** The table in which iptables-nft keeps the chain. */
export function hostFilterTable(family: Family): Table {
  return { family: tableFamily(family), name: "filter" };
}

/** Reads the chain, undefined when there is none that the kernel sends packets through. */
export function findHostForward(socket: NetlinkSocket, family: Family): HostForward | undefined {
  const table = hostFilterTable(family);
  const chain = findChain(socket, table, hostForwardChain);
  if (chain?.hook?.number !== n.NF_INET_FORWARD) return undefined;
  return { family, chain, rules: listRules(socket, table, hostForwardChain, isOrdinary) };
}

function isOrdinary(datagram: Uint8Array, start: number, end: number): boolean {
  return isOrdinaryRule(wordsOf(datagram), start, end);
}

/** Compares. `network` is undefined where no rule of ours is wanted. */
export function planHostForward(present: HostForward | undefined, network: Cidr | undefined): ForwardRepair {
  if (present === undefined) return { problems: [], requests: [], obstacle: undefined };
  const { others, ours } = splitRules(present.rules);
  const place = network === undefined ? undefined : findPlace(present.chain, others);
  const kept = new Map<Side, FoundRule>();
  const changes: { problem: string; request: Request }[] = [];
  const table = hostFilterTable(present.family);
  for (const { rule, ahead } of ours) {
    const side = network === undefined ? undefined : findSide(rule, present.family, network);
    const good = place?.kind === "slot" && side !== undefined && ahead >= place.first && ahead <= place.last;
    if (good && !kept.has(side)) kept.set(side, rule);
    else changes.push({ problem: "removed", request: deleteRule(table, hostForwardChain, rule.handle) });
  }
  if (network !== undefined && place?.kind === "slot") {
    (["saddr", "daddr"] as const).forEach((side, index) => {
      if (kept.has(side)) return;
      const expressions = acceptRules(network)[index] ?? [];
      const rule = { table, chain: hostForwardChain, expressions, comment: forwardComment };
      const request = addRule(rule, place.before === undefined ? { after: undefined } : { before: place.before });
      changes.push({ problem: "added", request });
    });
  }
  return {
    problems: changes.length === 0 ? [] : [`chain ${tableText(table)} FORWARD: ${countTexts(changes)}`],
    requests: changes.map(({ request }) => request),
    obstacle: place?.kind === "none" ? place.reason : undefined,
  };
}

/**
 * Where rules of ours do what they are for: behind `first` to `last` rules of others, new ones before the one with the
 * handle `before`, or at the end.
 */
type Place =
  | { readonly kind: "slot"; readonly first: number; readonly last: number; readonly before: number | undefined }
  /** The host drops nothing that others' rules have not decided on. */
  | { readonly kind: "unneeded" }
  | { readonly kind: "none"; readonly reason: string };

function findPlace(chain: FoundChain, others: readonly FoundRule[]): Place {
  const dropping = chain.hook?.policy === n.NF_DROP;
  const end = others.findIndex((rule) => ends(rule));
  const stop = others[end];
  const last = stop === undefined ? others.length : end;
  const verdict = stop === undefined ? undefined : findUnconditionalVerdict(stop);
  const stopDrops = verdict === "drop" || (typeof verdict === "object" && verdict.code === n.NFT_RETURN && dropping);
  if (stop === undefined ? !dropping : !stopDrops) return { kind: "unneeded" };
  const behind = others.slice(last).find((rule) => jumpOf(rule) !== undefined);
  if (behind !== undefined) {
    const text = `a rule of chain FORWARD drops everything ahead of the jump to ${jumpOf(behind) ?? ""}`;
    return { kind: "none", reason: `${text}: pods' packets are dropped as well, and no rule of ours is added` };
  }
  const first = others.findLastIndex((rule, index) => index < last && jumpOf(rule) !== undefined) + 1;
  return { kind: "slot", first, last, before: stop?.handle };
}

interface PlacedRule {
  readonly rule: FoundRule;
  /** How many rules of others are ahead of it. */
  readonly ahead: number;
}

function splitRules(rules: readonly FoundRule[]): {
  readonly others: readonly FoundRule[];
  readonly ours: readonly PlacedRule[];
} {
  const others: FoundRule[] = [];
  const ours: PlacedRule[] = [];
  for (const rule of rules) {
    if (isOurs(rule)) ours.push({ rule, ahead: others.length });
    else others.push(rule);
  }
  return { others, ours };
}

function findSide(rule: FoundRule, family: Family, network: Cidr): Side | undefined {
  const match = findNetworkMatch(rule, family);
  if (match === undefined || verdictOf(rule)?.code !== n.NF_ACCEPT) return undefined;
  return cidrEquals(match.network, network) ? match.side : undefined;
}

function isOurs(rule: FoundRule): boolean {
  return commentOf(rule) === forwardComment;
}

/** True for a rule that no packet gets past. */
function ends(rule: FoundRule): boolean {
  const verdict = findUnconditionalVerdict(rule);
  if (verdict === undefined || verdict === "drop") return verdict === "drop";
  return verdict.code === n.NF_ACCEPT || verdict.code === n.NFT_RETURN;
}

/** To whom of others a rule hands packets, be it to some extent unknown: what stands behind that was not asked for. */
function jumpOf(rule: FoundRule): string | undefined {
  const verdict = verdictOf(rule);
  if (verdict?.chain !== undefined) return verdict.chain === upstreamForwardChain ? undefined : verdict.chain;
  // A queue's number is in the upper half.
  if (verdict !== undefined && verdict.code > 0 && (verdict.code & 0xff) === n.NF_QUEUE) return "a queue";
  for (const { name, values } of rule.expressions) {
    const [subject] = values;
    const text = typeof subject === "string" ? subject : "?";
    if (name === "lookup" && values[2] !== undefined) return `the chains of map ${text}`;
    if (name === "target" && !silentTargets.includes(text)) return `target ${text}`;
    if (!knownExpressions.has(name)) return `expression ${name}`;
  }
  return undefined;
}

const knownExpressions: ReadonlySet<string> = new Set(
  silentExpressions.concat("cmp", "lookup", "range", "immediate", "match", "target"),
);

function countTexts(changes: readonly { readonly problem: string }[]): string {
  const texts = ["added", "removed"].flatMap((word) => {
    const count = changes.filter(({ problem }) => problem === word).length;
    return count === 0 ? [] : [`${count} rule${count === 1 ? "" : "s"} of ours ${word}`];
  });
  return texts.join(", ");
}

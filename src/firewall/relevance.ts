/** Which events of nf_tables concern the daemon's rules: read byte by byte, since others may change thousands a second. */
import { families } from "../addr/ip.ts";
import type { Reply } from "../netlink/message.ts";
import * as n from "../netlink/nftables-constants.ts";
import { tableFamily } from "../netlink/nftables.ts";
import { flannelTable } from "./flannel-table.ts";
import { hostFilterTable, hostForwardChain } from "./host-forward.ts";
import { isOrdinaryRule } from "./ordinary-rule.ts";
import { familyHeaderLength, findAttribute, isName, nameBytes, Patterns } from "./scan.ts";
import { upstreamChains } from "./upstream.ts";

/** A name as it stands in an attribute, with its NUL byte. */
type Name = Uint8Array;

interface Watched {
  readonly table: Name;
  /** Undefined for all that happens in the table. */
  readonly chains: readonly Name[] | undefined;
  /** True for the host's FORWARD, whose ordinary rules do not concern us. */
  readonly shared: boolean;
}

const firewalldTable = "firewalld";

/** Tells whether an event is about a table of ours, the host's FORWARD or a chain of upstream's. */
export class FirewallEvents {
  /** By the family's number. */
  readonly #watched: Watched[][] = [];

  /** What is in each event that concerns us. */
  readonly #marks: Patterns = new Patterns([
    ...families.map((family) => flannelTable(family).name),
    ...upstreamChains.map(({ chain }) => chain),
    hostForwardChain,
    firewalldTable,
  ]);

  constructor() {
    for (const family of families) {
      const upstream = upstreamChains.map(({ table, chain }) => ({
        table: nameBytes(table),
        chains: [nameBytes(chain)],
        shared: false,
      }));
      this.#watched[tableFamily(family)] = [
        { table: nameBytes(flannelTable(family).name), chains: undefined, shared: false },
        { table: nameBytes(hostFilterTable(family).name), chains: [nameBytes(hostForwardChain)], shared: true },
        ...upstream,
      ];
    }
    this.#watched[n.NFPROTO_INET] = [{ table: nameBytes(firewalldTable), chains: [], shared: false }];
  }

  /** False when none of the messages in a datagram concerns us: found without looking at each. */
  mayConcern(datagram: Uint8Array): boolean {
    return this.#marks.isIn(datagram);
  }

  /** True when what the event tells of may have to be put right. */
  concern({ type, body }: Reply): boolean {
    const watched = this.#watched[body[0] ?? 0];
    if (watched === undefined) return false;
    for (const { table, chains, shared } of watched) {
      if (!attributeIs(body, n.NFTA_RULE_TABLE, table)) continue;
      if (chains === undefined || isTableEvent(type)) return true;
      const rule = isRuleEvent(type);
      const attribute = rule ? n.NFTA_RULE_CHAIN : n.NFTA_CHAIN_NAME;
      if (!chains.some((chain) => attributeIs(body, attribute, chain))) continue;
      if (!(rule && shared && isOrdinaryRule(body))) return true;
    }
    return false;
  }
}

function isTableEvent(type: number): boolean {
  const message = type & 0xff;
  return message === n.NFT_MSG_NEWTABLE || message === n.NFT_MSG_DELTABLE;
}

function isRuleEvent(type: number): boolean {
  const message = type & 0xff;
  return message === n.NFT_MSG_NEWRULE || message === n.NFT_MSG_DELRULE;
}

/** True when the first attribute of this type has exactly these bytes. The kernel tells names first. */
function attributeIs(body: Uint8Array, type: number, name: Name): boolean {
  const at = findAttribute(body, familyHeaderLength, body.length, type);
  return at >= 0 && isName(body, at, name);
}

/** Which events of nf_tables concern the daemon's rules: read where they lie, since others may change thousands a second. */
import { families, type Family } from "../addr/ip.ts";
import * as n from "../netlink/nftables-constants.ts";
import type { HeardTable } from "../netlink/table-filter.ts";
import { tableFamily } from "../netlink/nftables.ts";
import { flannelTable } from "./flannel-table.ts";
import { hostFilterTable, hostForwardChain } from "./host-forward.ts";
import { isOrdinaryRule } from "./ordinary-rule.ts";
import { familyHeaderLength, findAttribute, isName, type Name, nameOf, nextTo, wordsOf } from "./scan.ts";
import { upstreamChains } from "./upstream.ts";

const firewalldTable = "firewalld";

interface WatchedTable extends HeardTable {
  /** True for the host's, of whose FORWARD ordinary rules do not concern us. */
  readonly shared?: boolean;
}

function watchedTables(family: Family): readonly WatchedTable[] {
  return [
    { name: flannelTable(family).name },
    { name: hostFilterTable(family).name, chains: [hostForwardChain], shared: true },
    ...upstreamChains.map(({ table, chain }) => ({ name: table, chains: [chain] })),
  ];
}

/** All tables, whatever their family, among whose rules and elements are some that may concern the daemon. */
export const heardTables: readonly HeardTable[] = families.flatMap(watchedTables);

interface Watched {
  readonly table: Name;
  /** Undefined for all that happens in the table. */
  readonly chains: readonly Name[] | undefined;
  readonly shared: boolean;
}

/** What concerns the daemon: nothing, what is not ordinary, or everything. */
type Concern = "none" | "notable" | "all";

/** struct nlmsghdr: length, type, flags, sequence number, and the port of whose request it tells. */
const messageHeaderLength = 16;

/** Tells whether an event is about a table of ours, the host's FORWARD or a chain of upstream's. */
export class FirewallEvents {
  /** By the family's number. */
  readonly #watched: Watched[][] = [];
  readonly #last: LastChain = new LastChain();

  constructor() {
    for (const family of families) {
      this.#watched[tableFamily(family)] = watchedTables(family).map(({ name, chains, shared = false }) => ({
        table: nameOf(name),
        chains: chains?.map(nameOf),
        shared,
      }));
    }
    this.#watched[n.NFPROTO_INET] = [{ table: nameOf(firewalldTable), chains: [], shared: false }];
  }

  /**
   * True when a message in a datagram, as it came, tells of something that may have to be put right. What the socket with
   * the port `own` has committed need not be.
   */
  concerns(datagram: Uint8Array, own?: number): boolean {
    const words = wordsOf(datagram);
    for (let start = 0; datagram.length - start >= messageHeaderLength;) {
      const at = start >>> 2;
      const length = words[at] ?? 0;
      if (length < messageHeaderLength) return false;
      const end = Math.min(start + length, datagram.length);
      if ((words[at + 3] ?? 0) >>> 0 !== own) {
        const kind = (words[at + 1] ?? 0) & 0xff;
        const body = start + messageHeaderLength;
        const concern = this.#last.isAt(words, body, kind)
          ? this.#last.concern
          : this.#concernOf(words, body, end, kind);
        if (concern === "all" || (concern === "notable" && !isOrdinaryRule(words, body, end))) return true;
      }
      start += (length + 3) & ~3;
    }
    return false;
  }

  /** The kernel tells names first: the first attribute of a type is it. */
  #concernOf(words: Int32Array, body: number, end: number, kind: number): Concern {
    const watched = this.#watched[(words[body >>> 2] ?? 0) & 0xff];
    if (watched === undefined) return "none";
    const first = body + familyHeaderLength;
    const tableName = findAttribute(words, first, end, n.NFTA_RULE_TABLE);
    if (tableName < 0) return "none";
    const rule = kind === n.NFT_MSG_NEWRULE || kind === n.NFT_MSG_DELRULE;
    const chainName = findAttribute(words, first, end, rule ? n.NFTA_RULE_CHAIN : n.NFTA_CHAIN_NAME);
    let concern: Concern = "none";
    for (const { table, chains, shared } of watched) {
      if (!isName(words, tableName, table)) continue;
      if (chains === undefined || kind === n.NFT_MSG_NEWTABLE || kind === n.NFT_MSG_DELTABLE) return "all";
      if (chainName < 0 || !chains.some((chain) => isName(words, chainName, chain))) continue;
      concern = rule && shared ? "notable" : "all";
      break;
    }
    if (rule && chainName === nextTo(words, tableName)) this.#last.set(words, body, nextTo(words, chainName), concern);
    return concern;
  }
}

/** The chain of the last rule that was told of, by the bytes that name it: the next rules are mostly of the same chain. */
class LastChain {
  concern: Concern = "none";
  #family = -1;
  #names = new Int32Array(0);

  /** True for a message about a rule of the same chain. */
  isAt(words: Int32Array, body: number, kind: number): boolean {
    if (kind !== n.NFT_MSG_NEWRULE && kind !== n.NFT_MSG_DELRULE) return false;
    const at = body >>> 2;
    if (((words[at] ?? 0) & 0xff) !== this.#family) return false;
    const names = this.#names;
    for (let index = 0; index < names.length; index++) if (words[at + 1 + index] !== names[index]) return false;
    return true;
  }

  /** The table's name and the chain's are the first attributes, up to `end`. */
  set(words: Int32Array, body: number, end: number, concern: Concern): void {
    this.concern = concern;
    this.#family = (words[body >>> 2] ?? 0) & 0xff;
    this.#names = words.slice((body + familyHeaderLength) >>> 2, end >>> 2);
  }
}

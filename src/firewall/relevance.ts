/** Which events of nf_tables concern the daemon's rules: read byte by byte, since others may change thousands a second. */
import { families } from "../addr/ip.ts";
import { readU32 } from "../base/bytes.ts";
import * as n from "../netlink/nftables-constants.ts";
import { tableFamily } from "../netlink/nftables.ts";
import { flannelTable } from "./flannel-table.ts";
import { hostFilterTable, hostForwardChain } from "./host-forward.ts";
import { isOrdinaryRule } from "./ordinary-rule.ts";
import { familyHeaderLength, findAttribute, isName, nameBytes } from "./scan.ts";
import { upstreamChains } from "./upstream.ts";

const firewalldTable = "firewalld";

/** The names of all tables that are watched, whatever their family. */
export const watchedTables: readonly string[] = [
  ...families.map((family) => flannelTable(family).name),
  ...families.map((family) => hostFilterTable(family).name),
  ...upstreamChains.map(({ table }) => table),
  firewalldTable,
];

/** A name as it stands in an attribute, with its NUL byte. */
type Name = Uint8Array;

interface Watched {
  readonly table: Name;
  /** Undefined for all that happens in the table. */
  readonly chains: readonly Name[] | undefined;
  /** True for the host's FORWARD, whose ordinary rules do not concern us. */
  readonly shared: boolean;
}

/** struct nlmsghdr: length, type, flags, sequence number, and the port of whose request it tells. */
const messageHeaderLength = 16;

/** Tells whether an event is about a table of ours, the host's FORWARD or a chain of upstream's. */
export class FirewallEvents {
  /** By the family's number. */
  readonly #watched: Watched[][] = [];

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

  /**
   * True when a message in a datagram, as it came, tells of something that may have to be put right. What the socket with
   * the port `own` has committed need not be.
   */
  concerns(datagram: Uint8Array, own?: number): boolean {
    for (let start = 0; datagram.length - start >= messageHeaderLength;) {
      const length = readU32(datagram, start);
      if (length < messageHeaderLength) return false;
      const message = { datagram, start: start + messageHeaderLength, end: Math.min(start + length, datagram.length) };
      if (readU32(datagram, start + 12) !== own && this.#concerns(datagram[start + 4] ?? 0, message)) return true;
      start += (length + 3) & ~3;
    }
    return false;
  }

  /** The kernel tells names first: the first attribute of a type is it. */
  #concerns(kind: number, { datagram, start, end }: Message): boolean {
    const watched = this.#watched[datagram[start] ?? 0];
    if (watched === undefined) return false;
    const first = start + familyHeaderLength;
    const tableName = findAttribute(datagram, first, end, n.NFTA_RULE_TABLE);
    const rule = kind === n.NFT_MSG_NEWRULE || kind === n.NFT_MSG_DELRULE;
    for (const { table, chains, shared } of watched) {
      if (tableName < 0 || !isName(datagram, tableName, table)) continue;
      if (chains === undefined || kind === n.NFT_MSG_NEWTABLE || kind === n.NFT_MSG_DELTABLE) return true;
      const chainName = findAttribute(datagram, first, end, rule ? n.NFTA_RULE_CHAIN : n.NFTA_CHAIN_NAME);
      if (chainName < 0 || !chains.some((chain) => isName(datagram, chainName, chain))) continue;
      if (!(rule && shared && isOrdinaryRule(datagram, start, end))) return true;
    }
    return false;
  }
}

/** The body of a message in a datagram. */
interface Message {
  readonly datagram: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Which events of nf_tables concern the daemon's rules: read byte by byte, since others may change thousands a second. */
import { families } from "../addr/ip.ts";
import { readU32 } from "../base/bytes.ts";
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
/** struct nlmsghdr: length, type, flags, sequence number, and the port of whose request it tells. */
const messageHeaderLength = 16;

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

  /**
   * True when a message in a datagram, as it came, tells of something that may have to be put right. What the socket with
   * the port `own` has committed need not be.
   */
  concerns(datagram: Uint8Array, own?: number): boolean {
    if (!this.#marks.isIn(datagram)) return false;
    for (let start = 0; datagram.length - start >= messageHeaderLength;) {
      const length = readU32(datagram, start);
      if (length < messageHeaderLength) return false;
      const message = { datagram, start: start + messageHeaderLength, end: Math.min(start + length, datagram.length) };
      if (readU32(datagram, start + 12) !== own && this.#concerns(datagram[start + 4] ?? 0, message)) return true;
      start += (length + 3) & ~3;
    }
    return false;
  }

  #concerns(kind: number, message: Message): boolean {
    const watched = this.#watched[message.datagram[message.start] ?? 0];
    if (watched === undefined) return false;
    for (const { table, chains, shared } of watched) {
      if (!attributeIs(message, n.NFTA_RULE_TABLE, table)) continue;
      if (chains === undefined || isTableEvent(kind)) return true;
      const rule = isRuleEvent(kind);
      const attribute = rule ? n.NFTA_RULE_CHAIN : n.NFTA_CHAIN_NAME;
      if (!chains.some((chain) => attributeIs(message, attribute, chain))) continue;
      if (!(rule && shared && isOrdinaryRule(message.datagram, message.start, message.end))) return true;
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

function isTableEvent(kind: number): boolean {
  return kind === n.NFT_MSG_NEWTABLE || kind === n.NFT_MSG_DELTABLE;
}

function isRuleEvent(kind: number): boolean {
  return kind === n.NFT_MSG_NEWRULE || kind === n.NFT_MSG_DELRULE;
}

/** True when the first attribute of this type has exactly these bytes. The kernel tells names first. */
function attributeIs({ datagram, start, end }: Message, type: number, name: Name): boolean {
  const at = findAttribute(datagram, start + familyHeaderLength, end, type);
  return at >= 0 && isName(datagram, at, name);
}

/** Which events of nf_tables concern the daemon's rules: read byte by byte, since others may change thousands a second. */
import { families } from "../addr/ip.ts";
import { readU16 } from "../base/bytes.ts";
import { NLA_TYPE_MASK } from "../netlink/constants.ts";
import type { Reply } from "../netlink/message.ts";
import * as n from "../netlink/nftables-constants.ts";
import { tableFamily } from "../netlink/nftables.ts";
import { flannelTable } from "./flannel-table.ts";
import { hostFilterTable, hostForwardChain } from "./host-forward.ts";
import { Patterns } from "./scan.ts";
import { upstreamChains } from "./upstream.ts";

/** A name as it stands in an attribute, with its NUL byte. */
type Name = Uint8Array;

interface Watched {
  readonly table: Name;
  /** Undefined for all that happens in the table. */
  readonly chains: readonly Name[] | undefined;
}

const firewalldTable = "firewalld";
const headerLength = 4;
const attributeHeaderLength = 4;

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
      const upstream = upstreamChains.map(({ table, chain }) => ({ table: nameOf(table), chains: [nameOf(chain)] }));
      this.#watched[tableFamily(family)] = [
        { table: nameOf(flannelTable(family).name), chains: undefined },
        { table: nameOf(hostFilterTable(family).name), chains: [nameOf(hostForwardChain)] },
        ...upstream,
      ];
    }
    this.#watched[n.NFPROTO_INET] = [{ table: nameOf(firewalldTable), chains: [] }];
  }

  /** False when none of the messages in a datagram concerns us: found without looking at each. */
  mayConcern(datagram: Uint8Array): boolean {
    return this.#marks.isIn(datagram);
  }

  /** True when what the event tells of may have to be put right. */
  concern({ type, body }: Reply): boolean {
    const watched = this.#watched[body[0] ?? 0];
    if (watched === undefined) return false;
    for (const { table, chains } of watched) {
      if (!attributeIs(body, n.NFTA_RULE_TABLE, table)) continue;
      if (chains === undefined || isTableEvent(type)) return true;
      const attribute = isRuleEvent(type) ? n.NFTA_RULE_CHAIN : n.NFTA_CHAIN_NAME;
      if (chains.some((chain) => attributeIs(body, attribute, chain))) return true;
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
  for (let offset = headerLength; offset + attributeHeaderLength <= body.length;) {
    const length = readU16(body, offset);
    if ((readU16(body, offset + 2) & NLA_TYPE_MASK) === type) {
      return length === attributeHeaderLength + name.length && bytesAre(body, offset + attributeHeaderLength, name);
    }
    if (length < attributeHeaderLength) return false;
    offset += (length + 3) & ~3;
  }
  return false;
}

function bytesAre(body: Uint8Array, start: number, name: Name): boolean {
  for (let index = 0; index < name.length; index++) if (body[start + index] !== name[index]) return false;
  return true;
}

function nameOf(text: string): Name {
  return new TextEncoder().encode(`${text}\0`);
}

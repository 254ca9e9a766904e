/** What the kernel tells of the tables of pods: transaction by transaction, and whose each was. For the daemon alone. */
import { Attributes } from "../netlink/attribute.ts";
import { readU16 } from "../base/bytes.ts";
import type { Reply } from "../netlink/message.ts";
import * as n from "../netlink/nftables-constants.ts";
import { findBe32 } from "../netlink/nftables-expression.ts";
import type { Table } from "../netlink/nftables.ts";
import { guardTable } from "./mac-guard.ts";
import { podTable } from "./pod-table.ts";
import { Patterns } from "./scan.ts";

/**
 * The names of processes of ours that change what pods have, as the kernel tells them (docs/host-ports.md). The daemon's is
 * none of them, nor those of plugins that change nothing in nf_tables.
 */
const pluginNames: ReadonlySet<string> = new Set(["flannel", "bridge", "portmap", "tartan"]);

/** The tables in which pods have something. */
export const podTables: readonly Table[] = [podTable, guardTable];

const headerLength = 4;
/** Where the first attribute of a message that ends a transaction stands, behind struct nlmsghdr and nfgenmsg. */
const generationStart = 16 + headerLength;
const attributeLength = 8;
const generationEnd = generationStart + attributeLength;
const newGeneration = (n.NFNL_SUBSYS_NFTABLES << 8) | n.NFT_MSG_NEWGEN;

/** What one transaction changed in the tables of pods. */
export interface PodCommit {
  readonly events: readonly Reply[];
  /** Name of the process that made it. */
  readonly process: string;
  readonly byPlugin: boolean;
}

/** Collects events up to the end of their transaction, which alone tells whose it was. */
export class PodEvents {
  readonly #committed: (commit: PodCommit) => void;
  readonly #marks: Patterns = new Patterns([podTable.name]);
  #pending: Reply[] = [];
  /** Of the last transaction that was told of, anybody's; undefined before the first. */
  generation: number | undefined;
  /** Of the daemon's own last transaction, of which nothing has to be told. */
  ownGeneration: number | undefined;

  constructor(committed: (commit: PodCommit) => void) {
    this.#committed = committed;
  }

  /**
   * False when no message in a datagram concerns pods. The end of a transaction comes in a datagram of its own; of one that
   * did not concern them nothing but the generation is taken note of, at once: others may commit thousands a second.
   */
  mayConcern(datagram: Uint8Array): boolean {
    if (datagram.length >= generationEnd && readU16(datagram, 4) === newGeneration) {
      if (this.#pending.length > 0 || readU16(datagram, generationStart) !== attributeLength) return true;
      if (readU16(datagram, generationStart + 2) !== n.NFTA_GEN_ID) return true;
      this.generation = readBe32(datagram, generationStart + 4);
      return false;
    }
    return !this.#isOwn && this.#marks.isIn(datagram);
  }

  /** Takes note of one message. */
  event({ type, flags, sequence, body }: Reply): void {
    if (type === newGeneration) this.#end(new Attributes(body.subarray(headerLength)));
    else if (!this.#isOwn && isPodTable(body)) this.#pending.push({ type, flags, sequence, body: body.slice() });
  }

  /** Forgets what was told of a transaction whose end may never be told. */
  lost(): void {
    this.#pending = [];
  }

  /** True while what is told of is the daemon's own transaction: each makes the next generation. */
  get #isOwn(): boolean {
    return this.ownGeneration !== undefined && this.generation === this.ownGeneration - 1;
  }

  #end(attributes: Attributes): void {
    this.generation = findBe32(attributes, n.NFTA_GEN_ID);
    if (this.#pending.length === 0) return;
    const events = this.#pending;
    this.#pending = [];
    const process = attributes.findString(n.NFTA_GEN_PROC_NAME) ?? "";
    this.#committed({ events, process, byPlugin: pluginNames.has(process) });
  }
}

/** The table of a message about one of the tables of pods, whichever kind of message it is. */
export function tableOf(body: Uint8Array): Table | undefined {
  // NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE and NFTA_SET_ELEM_LIST_TABLE are one number.
  const name = new Attributes(body.subarray(headerLength)).findString(n.NFTA_TABLE_NAME);
  return podTables.find((table) => table.family === body[0] && table.name === name);
}

function readBe32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + offset, 4).getUint32(0);
}

function isPodTable(body: Uint8Array): boolean {
  return podTables.some(({ family }) => family === body[0]) && tableOf(body) !== undefined;
}

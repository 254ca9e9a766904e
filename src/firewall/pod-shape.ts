/**
 * Whether the chains of a part of the plugins' tables are there, by what the kernel tells of each without its rules: a few
 * answers at ADD, however many elements and rules there are. An element alone does nothing.
 */
import { decodeChain, decodeTable } from "../netlink/nftables-dump.ts";
import { type ChainHook, getChain, getTable, hooksEqual, type Table } from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";

/** A chain but for its rules. */
export interface ChainShape {
  readonly name: string;
  readonly hook: ChainHook | undefined;
  /** The fewest rules and jumps to it that it has when it is whole. */
  readonly use: number;
}

/** How a part is found. */
export interface PartShape {
  /** False for a table that is there and lacks a chain or rules, or has a chain with another hook. */
  readonly whole: boolean;
  /** True for a table that does nothing, or is another process's. */
  readonly dormant: boolean;
}

/** Asks for the table and these chains. A table that is not there lacks nothing. */
export function readShape(socket: NetlinkSocket, table: Table, chains: readonly ChainShape[]): PartShape {
  const [found, ...replies] = socket.ask([getTable(table), ...chains.map(({ name }) => getChain(table, name))]);
  if (found === undefined) return { whole: true, dormant: false };
  const whole = chains.every(({ hook, use }, index) => {
    const reply = replies[index];
    if (reply === undefined) return false;
    const chain = decodeChain(reply);
    return chain.use >= use && hooksEqual(chain.hook, hook);
  });
  return { whole, dormant: decodeTable(found).flags !== 0 };
}

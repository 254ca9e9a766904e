/**
 * The table of what the plugins do for pods, `inet tartan`. It is made when the first pod needs it and stays, as the bridge
 * does; its parts are made apart. What a part is made of is data; what is missing of it is added, and a chain whose rules
 * are not those that are wanted is filled anew, in the transaction that needs it.
 */
import type { Request } from "../netlink/message.ts";
import { NFPROTO_INET } from "../netlink/nftables-constants.ts";
import { findTable, type FoundRule, listChains, listElements, listRules, listSets } from "../netlink/nftables-dump.ts";
import { type Expression, expressionText } from "../netlink/nftables-expression.ts";
import { addSet, deleteElements, type SetSpec } from "../netlink/nftables-set.ts";
import {
  addChain,
  addRule,
  addTable,
  type ChainHook,
  deleteChain,
  flushChain,
  hooksEqual,
  type Table,
  tableText,
} from "../netlink/nftables.ts";
import { changeRuleset } from "../netlink/nftables-transaction.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { findOwner, type NamedOwner } from "./pod-owner.ts";

export const podTable: Table = { family: NFPROTO_INET, name: "tartan" };

/** A chain with its rules. */
interface PodChain {
  readonly name: string;
  readonly hook: ChainHook | undefined;
  readonly rules: readonly (readonly Expression[])[];
}

/** A part of a table: its sets, and the chains that look into them, those that are jumped to first. */
export interface TablePart {
  readonly table: Table;
  readonly sets: readonly Omit<SetSpec, "table" | "interval" | "comment">[];
  readonly chains: readonly PodChain[];
}

/** Of both tables: `inet tartan`, and `bridge tartan` of the MAC check. */
const comment = "tartan: what the CNI plugins keep for pods";

/**
 * The requests that make of a part what is missing; all of them are harmless where nothing is. The kernel changes no
 * chain's hook: where one has another, as an earlier version's table may have, the part's chains are made anew.
 */
export function planPart(socket: NetlinkSocket, part: TablePart): readonly Request[] {
  const { table, chains } = part;
  const present = listChains(socket, table);
  const misplaced = chains.filter(({ name, hook }) =>
    present.some((chain) => chain.name === name && !hooksEqual(chain.hook, hook)),
  );
  if (misplaced.length === 0) return makePart(part, listRules(socket, table));
  const own = chains.filter(({ name }) => present.some((chain) => chain.name === name));
  return [
    ...own.map(({ name }) => flushChain(table, name)),
    ...misplaced.map(({ name }) => deleteChain(table, name)),
    ...makePart(part, []),
  ];
}

/** The requests that make a part where these rules are. Pure. */
export function makePart({ table, sets, chains }: TablePart, present: readonly FoundRule[]): readonly Request[] {
  return [
    addTable(table, comment),
    ...sets.map((set) => addSet({ ...set, table, interval: false, comment: undefined })),
    ...chains.map(({ name, hook }) => addChain({ table, name, hook })),
    ...chains.filter((chain) => !hasRules(present, chain)).flatMap((chain) => fillChain(table, chain)),
  ];
}

/** What is wrong with a part, in words: its table, a set, a chain or its rules; undefined when nothing is. */
export function findDamage(socket: NetlinkSocket, { table, sets, chains }: TablePart): string | undefined {
  const found = findTable(socket, table);
  if (found === undefined) return `table ${tableText(table)} missing`;
  if (found.flags !== 0) return `table ${tableText(table)} dormant or owned`;
  const names = new Set(listSets(socket, table).map(({ name }) => name));
  const set = sets.find(({ name }) => !names.has(name));
  if (set !== undefined) return `set ${set.name} of table ${tableText(table)} missing`;
  const present = listChains(socket, table);
  const rules = listRules(socket, table);
  for (const chain of chains) {
    const one = present.find(({ name }) => name === chain.name);
    const name = `chain ${chain.name} of table ${tableText(table)}`;
    if (one === undefined || !hooksEqual(one.hook, chain.hook)) return `${name} missing or with another hook`;
    if (!hasRules(rules, chain)) return `${name} with other rules`;
  }
  return undefined;
}

/** The sets of a table of the plugins, whatever made them. */
export function listPodSets(socket: NetlinkSocket, table: Table): TablePart["sets"] {
  return listSets(socket, table).map(({ name }) => ({ name, key: [], data: undefined }));
}

/** Removes the elements of a part whose owner is no longer wanted, in one transaction. Returns how many there were. */
export function sweepSets(
  socket: NetlinkSocket,
  part: () => Pick<TablePart, "table" | "sets">,
  isStale: (owner: NamedOwner) => boolean,
): number {
  let count = 0;
  changeRuleset(socket, () => {
    const { table, sets } = part();
    count = 0;
    return sets.flatMap(({ name }) => {
      const stale = listElements(socket, table, name).filter(({ comment: text }) => {
        const owner = findOwner(text);
        return owner !== undefined && isStale(owner);
      });
      count += stale.length;
      return stale.length === 0 ? [] : deleteElements(table, name, stale);
    });
  });
  return count;
}

function hasRules(present: readonly FoundRule[], { name, rules }: PodChain): boolean {
  const found = present.filter(({ chain }) => chain === name);
  return found.length === rules.length && rules.every((rule, place) => rulesEqual(rule, found[place]?.expressions));
}

function rulesEqual(wanted: readonly Expression[], found: readonly Expression[] = []): boolean {
  return wanted.length === found.length && wanted.every((one, place) => sameExpression(one, found[place]));
}

function sameExpression(wanted: Expression, found: Expression | undefined): boolean {
  return found !== undefined && expressionText(wanted) === expressionText(found);
}

function fillChain(table: Table, { name, rules }: PodChain): readonly Request[] {
  const additions = rules.map((expressions) => addRule({ table, chain: name, expressions, comment: undefined }));
  return [flushChain(table, name), ...additions];
}

/**
 * Elements that belong to pods, and the index by which a pod's are found without looking at those of others.
 *
 * What a pod has is one transaction: its elements, and for each entry one of the index, whose key is the owner's and a
 * number, and whose data say which elements go with it. Every change keeps the two together, so that a removal that finds
 * the entry of the index removes elements that are its own: whoever takes them over removes the entry.
 */
import type { Reply, Request } from "../netlink/message.ts";
import { decodeElements } from "../netlink/nftables-dump.ts";
import {
  addNewElements,
  deleteElements,
  elementBytes,
  getElement,
  interfaceField,
  markField,
  type Field,
  type SetElement,
} from "../netlink/nftables-set.ts";
import { changeRuleset, commit, commitOrThrow } from "../netlink/nftables-transaction.ts";
import { type Table, wakeTable } from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { type ChainShape, readShape } from "./pod-shape.ts";
import { findOwner, findOwnerKey, type NamedOwner, ownerKey, ownerMarks, type PodOwner } from "./pod-owner.ts";

/** An element's place. */
export interface SetKey {
  readonly set: string;
  readonly key: Uint8Array;
}

/** One thing that a pod has: the elements that make it, and the data by which the index finds them again. */
export interface PodEntry {
  readonly index: Uint8Array;
  readonly elements: readonly (SetKey & { readonly data?: Uint8Array })[];
  /** What it is, for errors: `host port 8080/tcp`. */
  readonly text: string;
}

/** A kind of thing that pods have in a table. */
export interface PodSets {
  readonly table: Table;
  /** Name of the index. */
  readonly index: string;
  /** The chains that look into the sets. */
  readonly chains: readonly ChainShape[];
  /** Which elements belong to the data of an index entry. Pure. */
  keysOf(index: Uint8Array): readonly SetKey[];
}

/** Thrown when a pod that is still there has what another one wants. */
export class HeldError extends Error {
  override readonly name = "HeldError";
  readonly owner: NamedOwner;
  readonly held: string;

  constructor(held: string, owner: NamedOwner) {
    super(`Cannot give away ${held}: another pod has it`);
    this.held = held;
    this.owner = owner;
  }
}

/** What an index is keyed by: owner and number. */
export const indexKey: readonly Field[] = [interfaceField, markField];
/** So many entries of an owner are asked for at once, when it has one: most pods have none. */
const entriesAtOnce = 4;

/** What is known of the owner, and of the table that may have to be made first. */
export interface Taking {
  readonly owner: NamedOwner;
  readonly entries: readonly PodEntry[];
  /** The requests that make what is missing of the table for these entries; reads it. */
  readonly prepare: () => readonly Request[];
  /** True when the pod of an owner is still there. */
  readonly isThere: (owner: NamedOwner) => boolean;
}

/**
 * Makes the entries what the owner has, in place of those that it had. What a pod that is gone has left is replaced.
 * Throws a HeldError when another pod has an element's key, and a NetlinkError.
 */
export function takeEntries(socket: NetlinkSocket, sets: PodSets, taking: Taking): void {
  const additions = addEntries(sets, taking);
  const { whole, dormant } = readShape(socket, sets.table, sets.chains);
  // Nearly always the table is there and nobody has the keys: one transaction, and no rule or element was read.
  if (!whole || commit(socket, additions).kind !== "done") {
    changeRuleset(socket, () => {
      const prepared = taking.prepare();
      return [...prepared, ...displaced(socket, sets, taking), ...additions];
    });
  }
  // By itself, and when all is in it: in one transaction the kernel makes no base chain of a table that it wakes.
  if (dormant) commitOrThrow(socket, [wakeTable(sets.table)]);
}

/** Removes what an owner has, and returns the data of its entries; none when it has nothing, or there is no table. */
export function dropEntries(socket: NetlinkSocket, sets: PodSets, owner: PodOwner): readonly Uint8Array[] {
  const key = ownerKey(owner);
  const entries = readEntries(socket, sets, key);
  if (entries.length === 0) return [];
  if (commit(socket, removeEntries(sets, entries)).kind !== "done") {
    changeRuleset(socket, () => removeOwn(socket, sets, key));
  }
  return entries.map(({ data }) => data);
}

/** Throws an Error that names the first of the entries that is not there as it should be, or is another's. */
export function checkEntries(
  socket: NetlinkSocket,
  sets: PodSets,
  owner: PodOwner,
  entries: readonly PodEntry[],
): void {
  const key = ownerKey(owner);
  const { table, index } = sets;
  const known = new Set(entries.length === 0 ? [] : readEntries(socket, sets, key).map(({ data }) => data.toHex()));
  for (const entry of entries) {
    for (const { set, key: elementKey, data } of entry.elements) {
      const [found] = findElements(socket, sets.table, [{ set, key: elementKey }]);
      if (found === undefined) throw new Error(`${entry.text} is missing in set ${set} of table ${sets.table.name}`);
      if (findOwnerKey(found.comment) !== key) {
        throw new Error(
          `${entry.text} is another's in set ${set} of table ${sets.table.name}: ${found.comment ?? "?"}`,
        );
      }
      if (data !== undefined && !(found.data instanceof Uint8Array && found.data.toHex() === data.toHex())) {
        throw new Error(`${entry.text} leads elsewhere in map ${set} of table ${sets.table.name}`);
      }
    }
    if (!known.has(entry.index.toHex()))
      throw new Error(`${entry.text} is missing in map ${index} of table ${table.name}`);
  }
}

/** The bytes of an interface's name in a key. */
export function interfaceBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(interfaceField.length);
  new TextEncoder().encodeInto(name, bytes);
  return bytes;
}

interface IndexEntry {
  readonly key: Uint8Array;
  readonly data: Uint8Array;
}

function addEntries({ table, index }: PodSets, { owner, entries }: Taking): readonly Request[] {
  const key = ownerKey(owner);
  const marks = ownerMarks(owner);
  const bySet = new Map<string, SetElement[]>();
  function add(set: string, element: SetElement): void {
    const list = bySet.get(set);
    if (list === undefined) bySet.set(set, [element]);
    else list.push(element);
  }
  for (const [number, entry] of entries.entries()) {
    add(index, { key: indexBytes(key, number), data: entry.index, ...marks });
    for (const element of entry.elements) add(element.set, { key: element.key, data: element.data, ...marks });
  }
  return [...bySet].flatMap(([set, elements]) => addNewElements(table, set, elements));
}

/** Removes what stands where the owner's entries are to be: its own of before, and that of pods that are gone. */
function displaced(socket: NetlinkSocket, sets: PodSets, { owner, entries, isThere }: Taking): readonly Request[] {
  const own = ownerKey(owner);
  const gone = new Set([own]);
  const orphans: SetKey[] = [];
  for (const entry of entries) {
    for (const { set, key } of entry.elements) {
      const [found] = findElements(socket, sets.table, [{ set, key }]);
      if (found === undefined) continue;
      const holder = findOwner(found.comment, found.note);
      const holderKey = findOwnerKey(found.comment);
      if (holder !== undefined && holderKey !== own && isThere(holder)) throw new HeldError(entry.text, holder);
      if (holderKey !== undefined) gone.add(holderKey);
      orphans.push({ set, key });
    }
  }
  const removed = [...gone].flatMap((key) => ownKeys(socket, sets, key));
  return deleteKeys(sets.table, [...removed, ...orphans]);
}

/** What of an owner's is there: the entries of the index, and of their elements those that have its comment. */
function ownKeys(socket: NetlinkSocket, sets: PodSets, key: string): readonly SetKey[] {
  const entries = readEntries(socket, sets, key);
  const elements = entries.flatMap(({ data }) => sets.keysOf(data));
  const found = findElements(socket, sets.table, elements);
  return [
    ...entries.map((entry) => ({ set: sets.index, key: entry.key })),
    ...elements.filter((_, position) => findOwnerKey(found[position]?.comment) === key),
  ];
}

function removeOwn(socket: NetlinkSocket, sets: PodSets, key: string): readonly Request[] {
  return deleteKeys(sets.table, ownKeys(socket, sets, key));
}

function removeEntries(sets: PodSets, entries: readonly IndexEntry[]): readonly Request[] {
  const keys = entries.flatMap(({ key, data }) => [{ set: sets.index, key }, ...sets.keysOf(data)]);
  return deleteKeys(sets.table, keys);
}

/** Each place once: the kernel refuses to remove an element twice. */
function deleteKeys(table: Table, keys: readonly SetKey[]): readonly Request[] {
  const bySet = new Map<string, Map<string, SetElement>>();
  for (const { set, key } of keys) {
    const elements = bySet.get(set) ?? new Map<string, SetElement>();
    bySet.set(set, elements.set(key.toHex(), { key }));
  }
  return [...bySet].flatMap(([set, elements]) => deleteElements(table, set, [...elements.values()]));
}

function readEntries(socket: NetlinkSocket, { table, index }: PodSets, key: string): readonly IndexEntry[] {
  const entries: IndexEntry[] = [];
  while (true) {
    const start = entries.length;
    const numbers = Array.from({ length: start === 0 ? 1 : entriesAtOnce }, (_, offset) => start + offset);
    for (const reply of socket.ask(numbers.map((number) => getElement(table, index, indexBytes(key, number))))) {
      const found = findElement(reply);
      // The kernel's answer lacks padding that the key has when it is asked for, so that the key is made again.
      if (!(found?.data instanceof Uint8Array)) return entries;
      entries.push({ key: indexBytes(key, entries.length), data: found.data });
    }
  }
}

function findElements(
  socket: NetlinkSocket,
  table: Table,
  keys: readonly SetKey[],
): readonly (SetElement | undefined)[] {
  if (keys.length === 0) return [];
  return socket.ask(keys.map(({ set, key }) => getElement(table, set, key))).map(findElement);
}

function findElement(reply: Reply | undefined): SetElement | undefined {
  return reply === undefined ? undefined : decodeElements(reply)[0];
}

function indexBytes(key: string, number: number): Uint8Array {
  return elementBytes([interfaceBytes(key), Uint8Array.of(number, number >> 8, 0, 0)]);
}

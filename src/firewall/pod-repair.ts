/** What a table of pods lacks of what the plugins made, and the requests that bring it back. */
import type { Request } from "../netlink/message.ts";
import { addElements, deleteElements, type SetElement } from "../netlink/nftables-set.ts";
import { addTable, deleteTable, type Table, tableText } from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { bitsOf, hostPortIndex, hostPortPart } from "./host-port-table.ts";
import { guardIndex, guardPart } from "./mac-guard.ts";
import { masqueradeIndex, masqueradePart, subnetsOf } from "./pod-masquerade.ts";
import { findOwner } from "./pod-owner.ts";
import type { PodElements, PodSnapshot } from "./pod-snapshot.ts";
import type { SetKey } from "./pod-sets.ts";
import { findDamage, makePart, type TablePart } from "./pod-table.ts";

/** What is to be done for one table; no requests when all is as it was. */
export interface PodRepair {
  readonly requests: readonly Request[];
  /** What was not as it was, for people. */
  readonly text: string;
  /** Devices of the pods that get something back. */
  readonly devices: readonly string[];
  /** What is not to come back. */
  readonly gone: readonly SetKey[];
}

/** How a table is found. */
export interface PodSight {
  readonly present: PodElements;
  /** What is wrong with chains, rules, sets or the table, undefined when nothing is. */
  readonly damage: string | undefined;
}

/** What is wrong with the parts of a table that sets of these names ask for, in words; undefined when nothing is. */
export function findPodDamage(socket: NetlinkSocket, table: Table, names: readonly string[]): string | undefined {
  const parts = partsOf(names).filter((part) => part.table === table);
  for (const part of parts) {
    const damage = findDamage(socket, part);
    if (damage !== undefined) return damage;
  }
  return undefined;
}

/**
 * Plans to bring back what pods that are there had. A table whose chains, rules or sets are damaged is made anew as a
 * whole, in one transaction that no packet sees half done. Pure.
 */
export function planPodRepair(
  { table, sets }: PodSnapshot,
  { present, damage }: PodSight,
  isThere: (element: SetElement) => boolean,
): PodRepair {
  const wanted = new Map<string, SetElement[]>();
  const missing = new Map<string, SetElement[]>();
  const replaced = new Map<string, SetElement[]>();
  const gone: SetKey[] = [];
  for (const [set, elements] of sets) {
    const found = present.get(set);
    for (const [key, element] of elements) {
      const one = found?.get(key);
      if (one !== undefined && sameElement(one, element)) push(wanted, set, element);
      else if (isThere(element)) {
        push(wanted, set, element);
        push(missing, set, element);
        if (one !== undefined) push(replaced, set, one);
      } else gone.push({ set, key: element.key });
    }
  }
  // Also without elements: the next pod that comes would find it as it is.
  const rebuilt = damage !== undefined && (wanted.size > 0 || present.size > 0);
  const added = rebuilt ? wanted : missing;
  const additions = [...added].flatMap(([set, elements]) => addElements(table, set, elements));
  const lacking = [...missing.values()].flat();
  const comments = new Set(lacking.map(({ comment }) => comment));
  const text = [...(damage === undefined ? [] : [damage]), ...countText(table, lacking.length, comments.size)].join(
    ", ",
  );
  const devices = [...new Set([...comments].flatMap((comment) => findOwner(comment)?.device ?? []))];
  if (rebuilt) return { requests: [...remake(table, [...sets.keys()]), ...additions], text, devices, gone };
  const removals = [...replaced].flatMap(([set, elements]) => deleteElements(table, set, elements));
  return { requests: [...removals, ...additions], text, devices, gone };
}

function partsOf(names: readonly string[]): readonly TablePart[] {
  return [
    ...(names.includes(hostPortIndex) ? [hostPortPart(bitsOf(names).toSorted((left, right) => left - right))] : []),
    ...(names.includes(masqueradeIndex) ? [masqueradePart(subnetsOf(names))] : []),
    ...(names.includes(guardIndex) ? [guardPart()] : []),
  ];
}

/** The table is added first, so that it can be deleted whether it is there or not. */
function remake(table: Table, names: readonly string[]): readonly Request[] {
  return [addTable(table), deleteTable(table), ...partsOf(names).flatMap((part) => makePart(part, []))];
}

function sameElement(left: SetElement, right: SetElement): boolean {
  return left.comment === right.comment && dataText(left) === dataText(right);
}

function dataText({ data }: SetElement): string {
  return data instanceof Uint8Array ? data.toHex() : JSON.stringify(data ?? "");
}

function countText(table: Table, elements: number, pods: number): readonly string[] {
  return elements === 0 ? [] : [`${elements} elements of ${pods} pods missing or changed in table ${tableText(table)}`];
}

function push(map: Map<string, SetElement[]>, set: string, element: SetElement): void {
  const list = map.get(set);
  if (list === undefined) map.set(set, [element]);
  else list.push(element);
}

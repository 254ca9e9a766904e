/** What the plugins last made of a table of pods, as data: what somebody else takes away is known from it. */
import { Attributes } from "../netlink/attribute.ts";
import type { Reply } from "../netlink/message.ts";
import * as n from "../netlink/nftables-constants.ts";
import { decodeElements, listElements, listSets } from "../netlink/nftables-dump.ts";
import type { SetElement } from "../netlink/nftables-set.ts";
import type { Table } from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { findOwner } from "./pod-owner.ts";
import type { SetKey } from "./pod-sets.ts";

/** The elements of the sets of a table, by the digits of their keys. */
export type PodElements = ReadonlyMap<string, ReadonlyMap<string, SetElement>>;

const headerLength = 4;

/** The elements of a table as the kernel has them; no set where there is no table. */
export function readPodElements(socket: NetlinkSocket, table: Table): PodElements {
  return new Map(
    listSets(socket, table).map(({ name }) => {
      const elements = listElements(socket, table, name);
      return [name, new Map(elements.map((element) => [element.key.toHex(), element]))];
    }),
  );
}

/** Each owner's elements are as the plugins left them together: all that it had, or none. */
export class PodSnapshot {
  readonly table: Table;
  readonly #sets = new Map<string, Map<string, SetElement>>();

  constructor(table: Table, present: PodElements) {
    this.table = table;
    this.merge(present);
  }

  get sets(): PodElements {
    return this.#sets;
  }

  /** Takes over what is present, and keeps what is not. */
  merge(present: PodElements): void {
    for (const [set, elements] of present) {
      this.#set(set);
      for (const element of elements.values()) this.#put(set, element);
    }
  }

  /** Follows a message about what a plugin did. */
  follow({ type, body }: Reply): void {
    const attributes = new Attributes(body.subarray(headerLength));
    // NFTA_SET_NAME and NFTA_SET_ELEM_LIST_SET are one number.
    const set = attributes.findString(n.NFTA_SET_NAME) ?? "";
    switch (type & 0xff) {
      case n.NFT_MSG_DELTABLE:
        this.#sets.clear();
        break;
      case n.NFT_MSG_NEWSET:
        this.#set(set);
        break;
      case n.NFT_MSG_DELSET:
        this.#sets.delete(set);
        break;
      case n.NFT_MSG_NEWSETELEM:
        for (const element of elementsOf(body)) this.#put(set, element);
        break;
      case n.NFT_MSG_DELSETELEM:
        this.remove(elementsOf(body).map(({ key }) => ({ set, key })));
        break;
    }
  }

  /** Forgets elements. */
  remove(keys: readonly SetKey[]): void {
    for (const { set, key } of keys) this.#sets.get(set)?.delete(key.toHex());
  }

  /**
   * What another owner has got meanwhile takes all of the former one's with it: its index would name elements that are
   * not its own, and its DEL remove them.
   */
  #put(set: string, element: SetElement): void {
    if (findOwner(element.comment) === undefined) return;
    const elements = this.#set(set);
    const key = element.key.toHex();
    const before = elements.get(key)?.comment;
    if (before !== undefined && before !== element.comment) this.#forget(before);
    elements.set(key, element);
  }

  #forget(owner: string): void {
    for (const elements of this.#sets.values()) {
      for (const [key, { comment }] of elements) if (comment === owner) elements.delete(key);
    }
  }

  #set(name: string): Map<string, SetElement> {
    const elements = this.#sets.get(name) ?? new Map<string, SetElement>();
    this.#sets.set(name, elements);
    return elements;
  }
}

function elementsOf(body: Uint8Array): readonly SetElement[] {
  return decodeElements({ type: 0, flags: 0, sequence: 0, body });
}

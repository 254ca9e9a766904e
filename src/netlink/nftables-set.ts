/** Sets and maps of nf_tables: tables that a rule looks a key up in, at the same cost however many elements there are. */
import { alignTo, ByteWriter } from "../base/bytes.ts";
import { nestedType, putBytes, putNested } from "./attribute.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "./constants.ts";
import type { Request } from "./message.ts";
import * as n from "./nftables-constants.ts";
import { putBe32, putData, type Verdict } from "./nftables-expression.ts";
import { commentUserdata, type MemberKind, memberRequest, type Table } from "./nftables.ts";

/** A field of a key or of a map's data: nft's number of its type, and its length in bytes. */
export interface Field {
  readonly type: number;
  readonly length: number;
}

const setKind: MemberKind = { word: "set", table: n.NFTA_SET_TABLE, name: n.NFTA_SET_NAME };
/** Of messages about a set's elements. */
const elementKind: MemberKind = { word: "set", table: n.NFTA_SET_ELEM_LIST_TABLE, name: n.NFTA_SET_ELEM_LIST_SET };

export const ipv4Field: Field = { type: n.TYPE_IPADDR, length: 4 };
export const ipv6Field: Field = { type: n.TYPE_IP6ADDR, length: 16 };
export const protocolField: Field = { type: n.TYPE_INET_PROTOCOL, length: 1 };
export const portField: Field = { type: n.TYPE_INET_SERVICE, length: 2 };
export const markField: Field = { type: n.TYPE_MARK, length: 4 };
export const macField: Field = { type: n.TYPE_ETHERADDR, length: 6 };
export const interfaceField: Field = { type: n.TYPE_IFNAME, length: 16 };

/** A named set that is to be there, or with `data` a map. More fields than one make a concatenation. */
export interface SetSpec {
  readonly table: Table;
  readonly name: string;
  readonly key: readonly Field[];
  /** The fields of a map's data; "verdict" for a verdict map, undefined for a set. */
  readonly data: readonly Field[] | "verdict" | undefined;
  /** True when elements are ranges. */
  readonly interval: boolean;
  readonly comment: string | undefined;
}

/** An element; its key and data as elementBytes makes them. */
export interface SetElement {
  readonly key: Uint8Array;
  /** Of an element of an interval set of concatenations: the last key that belongs to it. */
  readonly keyEnd?: Uint8Array | undefined;
  readonly data?: Uint8Array | Verdict | undefined;
  /** In an interval set of plain keys a range is two elements: its first key, and with this the first key behind it. */
  readonly intervalEnd?: boolean;
  readonly comment?: string | undefined;
  /** Text that stands behind the comment and that nft does not show; what the kernel has no room for is left out. */
  readonly note?: string | undefined;
}

/** The values of a concatenation's fields as they stand in registers, each padded to four bytes. */
export function elementBytes(fields: readonly Uint8Array[]): Uint8Array {
  const [only] = fields;
  if (fields.length === 1 && only !== undefined) return only;
  const writer = new ByteWriter(40);
  for (const field of fields) writer.bytes(field).align(4);
  return writer.finish();
}

/** Makes the set unless it is there; refused with EEXIST when that one is of another kind. Like: nft add set, nft add map */
export function addSet(spec: SetSpec): Request {
  const { table, name, key, data, interval } = spec;
  const concatenated = key.length > 1;
  const flags =
    (data === undefined ? 0 : n.NFT_SET_MAP) |
    (interval ? n.NFT_SET_INTERVAL : 0) |
    (interval && concatenated ? n.NFT_SET_CONCAT : 0);
  return memberRequest(setKind, n.NFT_MSG_NEWSET, NLM_F_CREATE, "add", { table, name }, (writer) => {
    putBe32(writer, n.NFTA_SET_FLAGS, flags);
    putBe32(writer, n.NFTA_SET_KEY_TYPE, fieldsType(key));
    putBe32(writer, n.NFTA_SET_KEY_LEN, fieldsLength(key));
    if (data === "verdict") putBe32(writer, n.NFTA_SET_DATA_TYPE, n.NFT_DATA_VERDICT);
    else if (data !== undefined) {
      putBe32(writer, n.NFTA_SET_DATA_TYPE, fieldsType(data));
      putBe32(writer, n.NFTA_SET_DATA_LEN, fieldsLength(data));
    }
    if (interval && concatenated) putFieldLengths(writer, key);
    // The kernel wants a number by which the transaction's later messages could name the set; they use its name.
    putBe32(writer, n.NFTA_SET_ID, 1);
    const userdata = setUserdata(spec);
    if (userdata.length > 0) putBytes(writer, n.NFTA_SET_USERDATA, userdata);
  });
}

/** What nft wants to know beside: the comment, and of a key that is one name that it is not to be turned round. */
function setUserdata({ key, comment }: SetSpec): Uint8Array {
  const writer = new ByteWriter(64);
  if (key.length === 1 && key[0]?.type === n.TYPE_IFNAME) {
    writer.u8(n.NFTNL_UDATA_SET_KEYBYTEORDER).u8(4).u32(n.BYTEORDER_HOST_ENDIAN);
  }
  if (comment !== undefined) writer.bytes(commentUserdata(n.NFTNL_UDATA_SET_COMMENT, comment));
  return writer.finish();
}

/** Removes a set that no rule looks into. Like: nft delete set T S */
export function deleteSet(table: Table, name: string): Request {
  return memberRequest(setKind, n.NFT_MSG_DELSET, 0, "delete", { table, name });
}

/**
 * Adds elements; one that is there stays as it is, and one with other data is refused with EEXIST or EBUSY. More requests
 * than one when they do not fit one. Like: nft add element T S
 */
export function addElements(table: Table, set: string, elements: readonly SetElement[]): readonly Request[] {
  return elementRequests(n.NFT_MSG_NEWSETELEM, NLM_F_CREATE, "add elements to", { table, set, elements });
}

/** Like addElements, but refused with EEXIST when one is there, whatever its data. Like: nft create element T S */
export function addNewElements(table: Table, set: string, elements: readonly SetElement[]): readonly Request[] {
  return elementRequests(n.NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, "add new elements to", {
    table,
    set,
    elements,
  });
}

/** Asks for one element by its key; refused with ENOENT when it is not there. Like: nft get element T S */
export function getElement(table: Table, set: string, key: Uint8Array): Request {
  return elementRequest(n.NFT_MSG_GETSETELEM, 0, "read an element of", { table, set, elements: [{ key }] });
}

/** Removes elements by their keys; refused with ENOENT when one is not there. Like: nft delete element T S */
export function deleteElements(table: Table, set: string, elements: readonly SetElement[]): readonly Request[] {
  return elementRequests(n.NFT_MSG_DELSETELEM, 0, "delete elements of", { table, set, elements });
}

/** Removes all elements. Like: nft flush set T S */
export function flushSet(table: Table, set: string): Request {
  return elementRequest(n.NFT_MSG_DELSETELEM, 0, "flush", { table, set, elements: [] });
}

interface ElementList {
  readonly table: Table;
  readonly set: string;
  readonly elements: readonly SetElement[];
}

/** Type, length and the NUL byte of an entry. */
const noteOverhead = 3;
/** The list is one attribute, whose length is a number of 16 bits; an element takes up to about 400 bytes. */
const elementsPerRequest = 150;

function elementRequests(message: number, flags: number, verb: string, list: ElementList): readonly Request[] {
  const requests: Request[] = [];
  for (let start = 0; start < list.elements.length; start += elementsPerRequest) {
    const elements = list.elements.slice(start, start + elementsPerRequest);
    requests.push(elementRequest(message, flags, verb, { ...list, elements }));
  }
  return requests;
}

function elementRequest(message: number, flags: number, verb: string, { table, set, elements }: ElementList): Request {
  return memberRequest(elementKind, message, flags, verb, { table, name: set }, (writer) => {
    if (elements.length === 0) return;
    putNested(writer, nestedType(n.NFTA_SET_ELEM_LIST_ELEMENTS), () => {
      let before: SetElement | undefined;
      let userdata: Uint8Array | undefined;
      for (const element of elements) {
        // Nearly always all are one pod's.
        if (element.comment !== before?.comment || element.note !== before?.note) userdata = elementUserdata(element);
        before = element;
        putElement(writer, element, userdata);
      }
    });
  });
}

function putElement(
  writer: ByteWriter,
  { key, keyEnd, data, intervalEnd }: SetElement,
  userdata: Uint8Array | undefined,
): void {
  putNested(writer, nestedType(n.NFTA_LIST_ELEM), () => {
    putData(writer, n.NFTA_SET_ELEM_KEY, key);
    if (keyEnd !== undefined) putData(writer, n.NFTA_SET_ELEM_KEY_END, keyEnd);
    if (data !== undefined) putData(writer, n.NFTA_SET_ELEM_DATA, data);
    if (intervalEnd === true) putBe32(writer, n.NFTA_SET_ELEM_FLAGS, n.NFT_SET_ELEM_INTERVAL_END);
    if (userdata !== undefined) putBytes(writer, n.NFTA_SET_ELEM_USERDATA, userdata);
  });
}

/** The comment as nft writes and shows it, and behind it the note as far as there is room. */
function elementUserdata({ comment, note }: SetElement): Uint8Array | undefined {
  if (comment === undefined) return undefined;
  const userdata = commentUserdata(n.NFTNL_UDATA_COMMENT, comment);
  const room = n.longestElementUserdata - userdata.length - noteOverhead;
  if (note === undefined || room <= 0) return userdata;
  const entry = commentUserdata(n.UDATA_NOTE, note.slice(0, room));
  return new ByteWriter(n.longestElementUserdata).bytes(userdata).bytes(entry).finish();
}

/** The kernel needs the fields' lengths to compare each as a range (NFTA_SET_DESC_CONCAT). */
function putFieldLengths(writer: ByteWriter, fields: readonly Field[]): void {
  putNested(writer, nestedType(n.NFTA_SET_DESC), () => {
    putNested(writer, nestedType(n.NFTA_SET_DESC_CONCAT), () => {
      for (const { length } of fields) {
        putNested(writer, nestedType(n.NFTA_LIST_ELEM), () => putBe32(writer, n.NFTA_SET_FIELD_LEN, length));
      }
    });
  });
}

function fieldsType(fields: readonly Field[]): number {
  return fields.reduce((type, field) => (type << n.TYPE_BITS) | field.type, 0);
}

function fieldsLength(fields: readonly Field[]): number {
  const [only] = fields;
  if (fields.length === 1 && only !== undefined) return only.length;
  return fields.reduce((length, field) => length + alignTo(field.length, 4), 0);
}

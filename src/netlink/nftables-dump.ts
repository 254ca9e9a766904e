/** What is in nf_tables now. */
import { ByteReader } from "../base/bytes.ts";
import { errno, failedWith } from "../sys/errno.ts";
import { Attributes, attributePayloads, putString } from "./attribute.ts";
import type { LeaveOut, Reply, Request } from "./message.ts";
import * as n from "./nftables-constants.ts";
import { decodeExpression, type Expression, findBe32, findBe64, findData } from "./nftables-expression.ts";
import type { SetElement } from "./nftables-set.ts";
import { type ChainHook, getChain, getTable, type Table, tableRequest, tableText } from "./nftables.ts";
import { dumpOrNone, type NetlinkSocket } from "./socket.ts";

/** A table as the kernel reports it. */
export interface FoundTable extends Table {
  /** NFT_TABLE_F_…: a dormant table does nothing. */
  readonly flags: number;
  /** How many chains, sets and other objects it has. */
  readonly use: number;
  readonly comment: string | undefined;
}

/** A chain as the kernel reports it; one without a hook is jumped to. */
export interface FoundChain {
  readonly table: Table;
  readonly name: string;
  readonly hook: ChainHook | undefined;
  /** How many rules it has, and how many send packets to it. */
  readonly use: number;
}

/** A rule as the kernel reports it; only its handle names it. Its parts are decoded when they are asked for. */
export class FoundRule {
  readonly #attributes: Attributes;
  #expressions: readonly Expression[] | undefined;

  constructor(attributes: Attributes) {
    this.#attributes = attributes;
  }

  get chain(): string {
    return this.#attributes.findString(n.NFTA_RULE_CHAIN) ?? "";
  }

  get handle(): number {
    return findBe64(this.#attributes, n.NFTA_RULE_HANDLE) ?? 0;
  }

  /** The list of expressions as it came. */
  get bytes(): Uint8Array {
    return this.#attributes.findBytes(n.NFTA_RULE_EXPRESSIONS) ?? new Uint8Array(0);
  }

  get expressions(): readonly Expression[] {
    this.#expressions ??= attributePayloads(this.bytes).map(decodeExpression);
    return this.#expressions;
  }

  /** As nft writes it; iptables writes comments as a match. */
  get comment(): string | undefined {
    return findComment(this.#attributes, n.NFTA_RULE_USERDATA, n.NFTNL_UDATA_COMMENT);
  }
}

/** A named or anonymous set as the kernel reports it. */
export interface FoundSet {
  readonly name: string;
  /** NFT_SET_… */
  readonly flags: number;
  readonly keyType: number;
  readonly keyLength: number;
  readonly dataType: number | undefined;
  readonly dataLength: number | undefined;
}

/** The tables of a family, or of all. Like: nft list tables */
export function listTables(socket: NetlinkSocket, family = 0): readonly FoundTable[] {
  const request = tableRequest(n.NFT_MSG_GETTABLE, 0, "list tables", { family }, () => {});
  return dumpOrNone(socket, request).map(decodeTable);
}

/** One table, undefined when it is not there. Like: nft list table T */
export function findTable(socket: NetlinkSocket, table: Table): FoundTable | undefined {
  return findOne(socket, getTable(table)).map(decodeTable)[0];
}

/** One chain, undefined when it or its table is not there. Like: nft list chain T C */
export function findChain(socket: NetlinkSocket, table: Table, name: string): FoundChain | undefined {
  return findOne(socket, getChain(table, name)).map(decodeChain)[0];
}

/** The chains of a table. Like: nft list chains */
export function listChains(socket: NetlinkSocket, table: Table): readonly FoundChain[] {
  // The kernel gives out those of the whole family.
  const request = tableRequest(n.NFT_MSG_GETCHAIN, 0, "list chains", table, () => {});
  return dumpOrNone(socket, request)
    .map(decodeChain)
    .filter((chain) => chain.table.name === table.name);
}

/**
 * The rules of a table or of one of its chains, in order; none when it is not there. Those whose message `leaveOut` is true
 * for are left out before they are decoded. Like: nft -a list chain T C
 */
export function listRules(
  socket: NetlinkSocket,
  table: Table,
  chain?: string,
  leaveOut?: LeaveOut,
): readonly FoundRule[] {
  const request = tableRequest(n.NFT_MSG_GETRULE, 0, `list rules of ${tableText(table)}`, table, (writer) => {
    putString(writer, n.NFTA_RULE_TABLE, table.name);
    if (chain !== undefined) putString(writer, n.NFTA_RULE_CHAIN, chain);
  });
  return dumpOrNone(socket, request, leaveOut).map((reply) => new FoundRule(open(reply).attributes));
}

/** The sets and maps of a table. Like: nft list sets, nft list maps */
export function listSets(socket: NetlinkSocket, table: Table): readonly FoundSet[] {
  const request = tableRequest(n.NFT_MSG_GETSET, 0, `list sets of ${tableText(table)}`, table, (writer) => {
    putString(writer, n.NFTA_SET_TABLE, table.name);
  });
  return dumpOrNone(socket, request).map((reply) => {
    const { attributes } = open(reply);
    return {
      name: attributes.findString(n.NFTA_SET_NAME) ?? "",
      flags: findBe32(attributes, n.NFTA_SET_FLAGS) ?? 0,
      keyType: findBe32(attributes, n.NFTA_SET_KEY_TYPE) ?? 0,
      keyLength: findBe32(attributes, n.NFTA_SET_KEY_LEN) ?? 0,
      dataType: findBe32(attributes, n.NFTA_SET_DATA_TYPE),
      dataLength: findBe32(attributes, n.NFTA_SET_DATA_LEN),
    };
  });
}

/** The elements of a set or map; none when it is not there. Like: nft list set T S */
export function listElements(socket: NetlinkSocket, table: Table, set: string): readonly SetElement[] {
  return dumpOrNone(socket, elementsRequest(table, set)).flatMap(decodeElements);
}

/** The elements that a reply to getElement or to a dump holds. */
export function decodeElements(reply: Reply): readonly SetElement[] {
  const elements = open(reply).attributes.findBytes(n.NFTA_SET_ELEM_LIST_ELEMENTS);
  return elements === undefined ? [] : attributePayloads(elements).map(decodeElement);
}

/** The reply to a request for one thing; none when it is not there. */
function findOne(socket: NetlinkSocket, request: Request): readonly Reply[] {
  try {
    return socket.request(request).slice(0, 1);
  } catch (error) {
    if (failedWith(error, errno.ENOENT)) return [];
    throw error;
  }
}

function elementsRequest(table: Table, set: string): Request {
  return tableRequest(n.NFT_MSG_GETSETELEM, 0, `list elements of ${tableText(table)} ${set}`, table, (writer) => {
    putString(writer, n.NFTA_SET_ELEM_LIST_TABLE, table.name);
    putString(writer, n.NFTA_SET_ELEM_LIST_SET, set);
  });
}

function open({ body }: Reply): { readonly family: number; readonly attributes: Attributes } {
  const reader = new ByteReader(body);
  const family = reader.u8();
  reader.skip(3);
  return { family, attributes: new Attributes(reader.bytes(reader.remaining)) };
}

/** What a reply to getTable holds. */
export function decodeTable(reply: Reply): FoundTable {
  const { family, attributes } = open(reply);
  return {
    family,
    name: attributes.findString(n.NFTA_TABLE_NAME) ?? "",
    flags: findBe32(attributes, n.NFTA_TABLE_FLAGS) ?? 0,
    use: findBe32(attributes, n.NFTA_TABLE_USE) ?? 0,
    comment: findComment(attributes, n.NFTA_TABLE_USERDATA, n.NFTNL_UDATA_COMMENT),
  };
}

/** What a reply to getChain holds. */
export function decodeChain(reply: Reply): FoundChain {
  const { family, attributes } = open(reply);
  const hook = attributes.nested(n.NFTA_CHAIN_HOOK);
  const number = findBe32(hook, n.NFTA_HOOK_HOOKNUM);
  return {
    table: { family, name: attributes.findString(n.NFTA_CHAIN_TABLE) ?? "" },
    name: attributes.findString(n.NFTA_CHAIN_NAME) ?? "",
    use: findBe32(attributes, n.NFTA_CHAIN_USE) ?? 0,
    hook:
      number === undefined
        ? undefined
        : {
            type: attributes.findString(n.NFTA_CHAIN_TYPE) ?? "",
            number,
            priority: (findBe32(hook, n.NFTA_HOOK_PRIORITY) ?? 0) | 0,
            policy: findBe32(attributes, n.NFTA_CHAIN_POLICY) ?? n.NF_ACCEPT,
          },
  };
}

function decodeElement(bytes: Uint8Array): SetElement {
  const attributes = new Attributes(bytes);
  const key = findData(attributes, n.NFTA_SET_ELEM_KEY);
  const keyEnd = findData(attributes, n.NFTA_SET_ELEM_KEY_END);
  const flags = findBe32(attributes, n.NFTA_SET_ELEM_FLAGS) ?? 0;
  return {
    key: key instanceof Uint8Array ? key : new Uint8Array(0),
    keyEnd: keyEnd instanceof Uint8Array ? keyEnd : undefined,
    data: findData(attributes, n.NFTA_SET_ELEM_DATA),
    intervalEnd: (flags & n.NFT_SET_ELEM_INTERVAL_END) !== 0,
    comment: findComment(attributes, n.NFTA_SET_ELEM_USERDATA, n.NFTNL_UDATA_COMMENT),
    note: findComment(attributes, n.NFTA_SET_ELEM_USERDATA, n.UDATA_NOTE),
  };
}

/** The comment among the entries of a USERDATA attribute: each a type, a length and that many bytes. */
function findComment(attributes: Attributes, attribute: number, entry: number): string | undefined {
  const bytes = attributes.findBytes(attribute);
  if (bytes === undefined) return undefined;
  const reader = new ByteReader(bytes);
  while (reader.remaining >= 2) {
    const type = reader.u8();
    const value = reader.bytes(Math.min(reader.u8(), reader.remaining));
    if (type !== entry) continue;
    const end = value.indexOf(0);
    return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
  }
  return undefined;
}

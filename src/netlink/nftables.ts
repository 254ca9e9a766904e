/**
 * Tables, chains and rules of nf_tables. Each change is a request; several are sent as one transaction
 * (nftables-transaction.ts), which happens as a whole or not at all.
 *
 *     struct nfgenmsg { __u8 nfgen_family; __u8 version; __be16 res_id; };
 */
import type { Family } from "../addr/ip.ts";
import { ByteWriter } from "../base/bytes.ts";
import { nestedType, putBytes, putNested, putString } from "./attribute.ts";
import { NLM_F_CREATE, NLM_F_REPLACE } from "./constants.ts";
import { buildRequest, type Request } from "./message.ts";
import * as n from "./nftables-constants.ts";
import { type Expression, putBe32, putBe64, putExpressions } from "./nftables-expression.ts";

/** A table by its family (NFPROTO_…) and name. */
export interface Table {
  readonly family: number;
  readonly name: string;
}

/** Where a base chain is attached. Types: filter, nat, route. */
export interface ChainHook {
  readonly type: string;
  /** NF_INET_… */
  readonly number: number;
  readonly priority: number;
  /** NF_ACCEPT or NF_DROP: what becomes of a packet that no rule decides on. */
  readonly policy: number;
}

/** True for two hooks that are the same, or for none and none. */
export function hooksEqual(left: ChainHook | undefined, right: ChainHook | undefined): boolean {
  return (
    left?.type === right?.type &&
    left?.number === right?.number &&
    left?.priority === right?.priority &&
    left?.policy === right?.policy
  );
}

/** A chain that is to be there; without a hook it is one that rules jump to. */
export interface ChainSpec {
  readonly table: Table;
  readonly name: string;
  readonly hook: ChainHook | undefined;
}

/** A rule that is to be there. */
export interface RuleSpec {
  readonly table: Table;
  readonly chain: string;
  readonly expressions: readonly Expression[];
  readonly comment: string | undefined;
}

/** Where a new rule comes to stand; without a handle first or last in its chain. */
export type RulePlace = { readonly before: number | undefined } | { readonly after: number | undefined };

/** The nf_tables number of an address family. */
export function tableFamily(family: Family): number {
  return family === 4 ? n.NFPROTO_IPV4 : n.NFPROTO_IPV6;
}

/** `ip filter`, `inet tartan`. */
export function tableText({ family, name }: Table): string {
  const families: Readonly<Record<number, string>> = {
    [n.NFPROTO_INET]: "inet",
    [n.NFPROTO_IPV4]: "ip",
    [n.NFPROTO_IPV6]: "ip6",
    [n.NFPROTO_BRIDGE]: "bridge",
  };
  return `${families[family] ?? family} ${name}`;
}

/** Makes the table unless it is there. Like: nft add table T */
export function addTable(table: Table, comment?: string): Request {
  return tableRequest(n.NFT_MSG_NEWTABLE, NLM_F_CREATE, `add table ${tableText(table)}`, table, (writer) => {
    putString(writer, n.NFTA_TABLE_NAME, table.name);
    if (comment !== undefined) putBytes(writer, n.NFTA_TABLE_USERDATA, commentUserdata(n.NFTNL_UDATA_COMMENT, comment));
  });
}

/** Ends a table's being dormant, which must be there. Like: nft add table T, where it was added with { flags dormant; } */
export function wakeTable(table: Table): Request {
  return tableRequest(n.NFT_MSG_NEWTABLE, 0, `wake table ${tableText(table)}`, table, (writer) => {
    putString(writer, n.NFTA_TABLE_NAME, table.name);
    putBe32(writer, n.NFTA_TABLE_FLAGS, 0);
  });
}

/** Removes the table with all that is in it; refused with ENOENT when it is not there. Like: nft delete table T */
export function deleteTable(table: Table): Request {
  return tableRequest(n.NFT_MSG_DELTABLE, 0, `delete table ${tableText(table)}`, table, (writer) => {
    putString(writer, n.NFTA_TABLE_NAME, table.name);
  });
}

/** Makes the chain unless it is there, and sets a base chain's policy. Like: nft add chain T C */
export function addChain({ table, name, hook }: ChainSpec): Request {
  return memberRequest(chainKind, n.NFT_MSG_NEWCHAIN, NLM_F_CREATE, "add", { table, name }, (writer) => {
    if (hook === undefined) return;
    putNested(writer, nestedType(n.NFTA_CHAIN_HOOK), () => {
      putBe32(writer, n.NFTA_HOOK_HOOKNUM, hook.number);
      putBe32(writer, n.NFTA_HOOK_PRIORITY, hook.priority);
    });
    putBe32(writer, n.NFTA_CHAIN_POLICY, hook.policy);
    putString(writer, n.NFTA_CHAIN_TYPE, hook.type);
  });
}

/** Removes a chain, which must be empty and not jumped to. Like: nft delete chain T C */
export function deleteChain(table: Table, name: string): Request {
  return memberRequest(chainKind, n.NFT_MSG_DELCHAIN, 0, "delete", { table, name });
}

/** Asks for a table; refused with ENOENT when it is not there. Like: nft list table T */
export function getTable(table: Table): Request {
  return tableRequest(n.NFT_MSG_GETTABLE, 0, `read table ${tableText(table)}`, table, (writer) => {
    putString(writer, n.NFTA_TABLE_NAME, table.name);
  });
}

/** Asks for a chain; refused with ENOENT when it or its table is not there. Like: nft list chain T C */
export function getChain(table: Table, name: string): Request {
  return memberRequest(chainKind, n.NFT_MSG_GETCHAIN, 0, "read", { table, name });
}

/** Adds a rule, last unless another place is given. Like: nft add rule, nft insert rule */
export function addRule(rule: RuleSpec, place: RulePlace = { after: undefined }): Request {
  const append = "after" in place ? n.NLM_F_APPEND : 0;
  return memberRequest(
    ruleKind,
    n.NFT_MSG_NEWRULE,
    NLM_F_CREATE | append,
    "add rule to",
    { table: rule.table, name: rule.chain },
    (writer) => {
      putRule(writer, rule);
      const handle = "after" in place ? place.after : place.before;
      if (handle !== undefined) putBe64(writer, n.NFTA_RULE_POSITION, handle);
    },
  );
}

/** Puts a rule in the place of the one with this handle; the new one has another. Like: nft replace rule T C handle H */
export function replaceRule(rule: RuleSpec, handle: number): Request {
  return memberRequest(
    ruleKind,
    n.NFT_MSG_NEWRULE,
    NLM_F_REPLACE,
    `replace rule ${handle} of`,
    { table: rule.table, name: rule.chain },
    (writer) => {
      putBe64(writer, n.NFTA_RULE_HANDLE, handle);
      putRule(writer, rule);
    },
  );
}

/** Removes the rule with this handle. Like: nft delete rule T C handle H */
export function deleteRule(table: Table, chain: string, handle: number): Request {
  return memberRequest(ruleKind, n.NFT_MSG_DELRULE, 0, `delete rule ${handle} of`, { table, name: chain }, (writer) => {
    putBe64(writer, n.NFTA_RULE_HANDLE, handle);
  });
}

/** Removes all rules of a chain. Like: nft flush chain T C */
export function flushChain(table: Table, chain: string): Request {
  return memberRequest(ruleKind, n.NFT_MSG_DELRULE, 0, "flush", { table, name: chain });
}

/** One entry of a USERDATA attribute as nft writes and shows it: text that ends with a NUL byte. */
export function commentUserdata(type: number, comment: string): Uint8Array {
  // The length, NUL included, is one byte (libnftnl: struct nftnl_udata).
  const bytes = new TextEncoder().encode(comment).subarray(0, 254);
  return new ByteWriter(bytes.length + 3)
    .u8(type)
    .u8(bytes.length + 1)
    .bytes(bytes)
    .u8(0)
    .finish();
}

/** A request of the nf_tables subsystem on a table of this family. */
export function tableRequest(
  message: number,
  flags: number,
  text: string,
  { family }: Pick<Table, "family">,
  fill: (writer: ByteWriter) => void,
): Request {
  return buildRequest((n.NFNL_SUBSYS_NFTABLES << 8) | message, flags, text, (writer) => {
    writer.u8(family).zeros(3);
    fill(writer);
  });
}

/** A kind of what tables have, and the attributes of messages that name the table and it. */
export interface MemberKind {
  readonly word: "chain" | "set";
  readonly table: number;
  readonly name: number;
}

const chainKind: MemberKind = { word: "chain", table: n.NFTA_CHAIN_TABLE, name: n.NFTA_CHAIN_NAME };
/** Of messages about a chain's rules. */
const ruleKind: MemberKind = { word: "chain", table: n.NFTA_RULE_TABLE, name: n.NFTA_RULE_CHAIN };

/** A request on what a table has under a name. */
export function memberRequest(
  kind: MemberKind,
  message: number,
  flags: number,
  verb: string,
  { table, name }: { readonly table: Table; readonly name: string },
  fill: (writer: ByteWriter) => void = () => {},
): Request {
  return tableRequest(message, flags, `${verb} ${kind.word} ${tableText(table)} ${name}`, table, (writer) => {
    putString(writer, kind.table, table.name);
    putString(writer, kind.name, name);
    fill(writer);
  });
}

function putRule(writer: ByteWriter, { expressions, comment }: RuleSpec): void {
  putExpressions(writer, n.NFTA_RULE_EXPRESSIONS, expressions);
  if (comment !== undefined) putBytes(writer, n.NFTA_RULE_USERDATA, commentUserdata(n.NFTNL_UDATA_COMMENT, comment));
}

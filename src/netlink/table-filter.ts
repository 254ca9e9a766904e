/**
 * A filter that the kernel itself applies to events of nf_tables before it wakes anybody: others may commit thousands of
 * rules a second.
 */
import { ByteWriter } from "../base/bytes.ts";
import { all, behind, op, type Step, writeSteps } from "./filter.ts";
import * as n from "./nftables-constants.ts";

/** A table of whose rules and elements something is to be heard. */
export interface HeardTable {
  readonly name: string;
  /** Those chains alone, and none of the elements; undefined for all that happens in the table. */
  readonly chains?: readonly string[];
}

/** Kinds of messages that come by thousands: the first attribute names the table, the second the chain or the set. */
const frequent = [n.NFT_MSG_NEWRULE, n.NFT_MSG_DELRULE, n.NFT_MSG_NEWSETELEM, n.NFT_MSG_DELSETELEM];
/** In a message: the kind in struct nlmsghdr, and behind struct nfgenmsg the first attribute, with its text. */
const kindOffset = 4;
const attributeOffset = 20;
const textOffset = 24;
/** Names are told apart by so many of their first bytes. */
const compared = 4;
/** What the kernel tells of one transaction comes in datagrams of a page; of rules, hardly one holds more messages. */
const mostMessages = 20;

/**
 * The instructions that leave out a datagram of up to 20 messages, each about a rule or elements of which nothing is to be
 * heard. Everything else passes, and so may what has a name that begins like one that is heard of. Pure.
 */
export function tableFilter(tables: readonly HeardTable[]): Uint8Array {
  const writer = new ByteWriter();
  writeSteps([{ code: op.loadIndex }], writer);
  const steps = messageSteps(tables);
  for (let message = 0; message < mostMessages; message++) writeSteps(steps, writer);
  writeSteps([{ code: op.give, value: all }], writer);
  return writer.finish();
}

/** Of each name the first bytes as the instruction loads them: in network order. */
function firstWords(names: readonly string[]): readonly number[] {
  const words = names.map((name) => Buffer.from(name.slice(0, compared).padEnd(compared, "\0")).readUInt32BE(0));
  return [...new Set(words)];
}

/** Looks at the message at X, and goes on behind these steps, with X at the next message. */
function messageSteps(tables: readonly HeardTable[]): readonly Step[] {
  const whole = firstWords(tables.filter(({ chains }) => chains === undefined).map(({ name }) => name));
  const shared = firstWords(tables.filter(({ chains }) => chains !== undefined).map(({ name }) => name));
  const chains = firstWords(tables.flatMap((table) => table.chains ?? []));
  return [
    { code: op.loadByteAt, value: kindOffset },
    ...frequent.map((value, index) => ({
      code: op.ifEqual,
      value,
      met: "table",
      ...(index === frequent.length - 1 && { otherwise: "pass" }),
    })),
    { label: "table", code: op.loadWordAt, value: textOffset },
    ...whole.map((value) => ({ code: op.ifEqual, value, met: "pass" })),
    ...shared.map((value) => ({ code: op.ifEqual, value, met: "chain" })),
    { code: op.ifEqual, met: "next", otherwise: "next" },
    // The second attribute is as far behind the first as that is long.
    { label: "chain", code: op.loadByteAt, value: attributeOffset + 1 },
    { code: op.ifEqual, value: 0, otherwise: "pass" },
    { code: op.storeIndex, value: 1 },
    { code: op.loadByteAt, value: attributeOffset },
    ...alignedBehindIndex,
    { code: op.loadWordAt, value: textOffset },
    { code: op.loadIndexFrom, value: 1 },
    ...chains.map((value) => ({ code: op.ifEqual, value, met: "pass" })),
    // The message's length, in host order; one of 64 KiB or more is not among those that come by thousands.
    { label: "next", code: op.loadWordAt, value: 0 },
    { code: op.ifAnyBit, value: 0xffff, met: "pass" },
    { code: op.storeIndex, value: 1 },
    { code: op.loadByteAt, value: 1 },
    { code: op.shiftLeft, value: 8 },
    { code: op.store, value: 0 },
    { code: op.loadByteAt, value: 0 },
    { code: op.loadIndexFrom, value: 0 },
    { code: op.orIndex },
    { code: op.loadIndexFrom, value: 1 },
    ...alignedBehindIndex,
    { code: op.loadLength },
    { code: op.ifAboveIndex, met: behind },
    { code: op.give, value: 0 },
    { label: "pass", code: op.give, value: all },
  ];
}

/** X becomes X plus A, and that a multiple of four. */
const alignedBehindIndex: readonly Step[] = [
  { code: op.add, value: 3 },
  { code: op.and, value: 0xffff_fffc },
  { code: op.addIndex },
  { code: op.toIndex },
];

/**
 * A filter that the kernel itself applies to events of nf_tables before it wakes anybody: others may commit thousands of
 * rules a second. In the kernel's first language for filters (include/uapi/linux/filter.h), which netlink sockets take.
 */
import { ByteWriter } from "../base/bytes.ts";
import * as n from "./nftables-constants.ts";

/** A table of whose rules and elements something is to be heard. */
export interface HeardTable {
  readonly name: string;
  /** Those chains alone, and none of the elements; undefined for all that happens in the table. */
  readonly chains?: readonly string[];
}

/** One instruction, struct sock_filter. Jumps lead forward to a label in the same message's steps, or to the next step. */
interface Step {
  readonly code: number;
  readonly value?: number;
  readonly label?: string;
  readonly met?: string;
  readonly otherwise?: string;
}

/** A is the accumulator, X the index register. BPF_LD, BPF_LDX, BPF_ST and BPF_STX with their sizes and modes. */
const loadWordAt = 0x40;
const loadByteAt = 0x50;
const loadLength = 0x80;
const loadIndex = 0x01;
const loadIndexFrom = 0x61;
const store = 0x02;
const storeIndex = 0x03;
/** BPF_ALU */
const add = 0x04;
const addIndex = 0x0c;
const orIndex = 0x4c;
const and = 0x54;
const shiftLeft = 0x64;
/** BPF_MISC|BPF_TAX */
const toIndex = 0x07;
/** BPF_JMP: A == value, A & value, A > X */
const ifEqual = 0x15;
const ifAnyBit = 0x45;
const ifAboveIndex = 0x2d;
/** BPF_RET|BPF_K */
const give = 0x06;
const all = 0xffff_ffff;

/** The label behind the last of a message's steps. */
const behind = "behind";

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
  encode([{ code: loadIndex }], writer);
  const steps = messageSteps(tables);
  for (let message = 0; message < mostMessages; message++) encode(steps, writer);
  encode([{ code: give, value: all }], writer);
  return writer.finish();
}

function encode(steps: readonly Step[], writer: ByteWriter): void {
  const labels = new Map(steps.map(({ label }, index) => [label, index]));
  labels.set(behind, steps.length);
  steps.forEach(({ code, value = 0, met, otherwise }, index) => {
    const next = index + 1;
    const [whenMet, whenNot] = [met, otherwise].map(
      (label) => (label === undefined ? next : labels.get(label)) ?? next,
    );
    writer
      .u16(code)
      .u8((whenMet ?? next) - next)
      .u8((whenNot ?? next) - next)
      .u32(value);
  });
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
    { code: loadByteAt, value: kindOffset },
    ...frequent.map((value, index) => ({
      code: ifEqual,
      value,
      met: "table",
      ...(index === frequent.length - 1 && { otherwise: "pass" }),
    })),
    { label: "table", code: loadWordAt, value: textOffset },
    ...whole.map((value) => ({ code: ifEqual, value, met: "pass" })),
    ...shared.map((value) => ({ code: ifEqual, value, met: "chain" })),
    { code: ifEqual, met: "next", otherwise: "next" },
    // The second attribute is as far behind the first as that is long.
    { label: "chain", code: loadByteAt, value: attributeOffset + 1 },
    { code: ifEqual, value: 0, otherwise: "pass" },
    { code: storeIndex, value: 1 },
    { code: loadByteAt, value: attributeOffset },
    ...alignedBehindIndex,
    { code: loadWordAt, value: textOffset },
    { code: loadIndexFrom, value: 1 },
    ...chains.map((value) => ({ code: ifEqual, value, met: "pass" })),
    // The message's length, in host order; one of 64 KiB or more is not among those that come by thousands.
    { label: "next", code: loadWordAt, value: 0 },
    { code: ifAnyBit, value: 0xffff, met: "pass" },
    { code: storeIndex, value: 1 },
    { code: loadByteAt, value: 1 },
    { code: shiftLeft, value: 8 },
    { code: store, value: 0 },
    { code: loadByteAt, value: 0 },
    { code: loadIndexFrom, value: 0 },
    { code: orIndex },
    { code: loadIndexFrom, value: 1 },
    ...alignedBehindIndex,
    { code: loadLength },
    { code: ifAboveIndex, met: behind },
    { code: give, value: 0 },
    { label: "pass", code: give, value: all },
  ];
}

/** X becomes X plus A, and that a multiple of four. */
const alignedBehindIndex: readonly Step[] = [
  { code: add, value: 3 },
  { code: and, value: 0xffff_fffc },
  { code: addIndex },
  { code: toIndex },
];

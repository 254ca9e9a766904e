/**
 * A filter that the kernel itself applies to events of nf_tables before it wakes anybody: others may commit thousands of
 * rules a second. In the kernel's first language for filters (include/uapi/linux/filter.h), which netlink sockets take.
 */
import { ByteWriter } from "../base/bytes.ts";
import * as n from "./nftables-constants.ts";

/** One instruction: struct sock_filter. Jumps are counted from the instruction behind it. */
interface Step {
  readonly code: number;
  readonly value: number;
  readonly met?: number;
  readonly otherwise?: number;
}

/** BPF_LD|BPF_W|BPF_ABS, the same of bytes, BPF_LD|BPF_W|BPF_LEN, BPF_ALU|BPF_LSH|BPF_K, BPF_ALU|BPF_OR|BPF_X, BPF_MISC|BPF_TAX */
const loadWord = 0x20;
const loadByte = 0x30;
const loadLength = 0x80;
const shiftLeft = 0x64;
const orIndex = 0x4c;
const toIndex = 0x07;
/** BPF_JMP|BPF_JEQ with a number and with the index register, BPF_RET|BPF_K */
const jumpIfEqual = 0x15;
const jumpIfIndex = 0x1d;
const give = 0x06;
const all = 0xffff_ffff;

/** Kinds of messages that come by thousands; the first attribute of each names its table. */
const frequent = [n.NFT_MSG_NEWRULE, n.NFT_MSG_DELRULE, n.NFT_MSG_NEWSETELEM, n.NFT_MSG_DELSETELEM];
/** Where struct nlmsghdr has the kind, and where the first attribute's text begins behind struct nfgenmsg. */
const kindOffset = 4;
const nameOffset = 24;
const compared = 4;

/**
 * The instructions that let everything pass but datagrams of one message about a rule or elements in a table whose name
 * begins otherwise, in its first four bytes, than each of these names of at least so many. Pure.
 */
export function tableFilter(names: readonly string[]): Uint8Array {
  const words = [...new Set(names.map(firstWord))];
  // Each long jump leads to the last instruction, which lets all pass.
  const lengthTest: readonly Step[] = [
    { code: loadByte, value: 1 },
    { code: shiftLeft, value: 8 },
    { code: toIndex, value: 0 },
    { code: loadByte, value: 0 },
    { code: orIndex, value: 0 },
    { code: toIndex, value: 0 },
    { code: loadLength, value: 0 },
    { code: jumpIfIndex, value: 0, otherwise: words.length + 2 },
    { code: loadWord, value: nameOffset },
  ];
  const steps: readonly Step[] = [
    { code: loadByte, value: kindOffset },
    ...frequent.map((kind, place) => {
      const left = frequent.length - 1 - place;
      const otherwise = left === 0 ? lengthTest.length + words.length + 1 : 0;
      return { code: jumpIfEqual, value: kind, met: left, otherwise };
    }),
    ...lengthTest,
    ...words.map((value, place) => ({ code: jumpIfEqual, value, met: words.length - place })),
    { code: give, value: 0 },
    { code: give, value: all },
  ];
  const writer = new ByteWriter(steps.length * 8);
  for (const { code, value, met = 0, otherwise = 0 } of steps) writer.u16(code).u8(met).u8(otherwise).u32(value);
  return writer.finish();
}

function firstWord(name: string): number {
  return Buffer.from(name.slice(0, compared).padEnd(compared, "\0")).readUInt32BE(0);
}

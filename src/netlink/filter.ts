/**
 * Filters that the kernel itself applies to datagrams before it wakes anybody, in its first language for them
 * (include/uapi/linux/filter.h), which netlink sockets take.
 */
import type { ByteWriter } from "../base/bytes.ts";

/** One instruction, struct sock_filter. Jumps lead forward to a label, or to the next step. */
export interface Step {
  readonly code: number;
  readonly value?: number;
  readonly label?: string;
  readonly met?: string;
  readonly otherwise?: string;
}

/** Operations on the accumulator A and the index register X, by what is loaded, stored, compared or given back. */
export const op = {
  /** BPF_LD with BPF_W|BPF_ABS, BPF_W|BPF_IND, BPF_B|BPF_IND, BPF_W|BPF_LEN */
  loadWord: 0x20,
  loadWordAt: 0x40,
  loadByteAt: 0x50,
  loadLength: 0x80,
  /** BPF_LDX with BPF_IMM, BPF_MEM; BPF_ST, BPF_STX */
  loadIndex: 0x01,
  loadIndexFrom: 0x61,
  store: 0x02,
  storeIndex: 0x03,
  /** BPF_ALU with BPF_ADD|BPF_K, BPF_ADD|BPF_X, BPF_OR|BPF_X, BPF_AND|BPF_K, BPF_LSH|BPF_K */
  add: 0x04,
  addIndex: 0x0c,
  orIndex: 0x4c,
  and: 0x54,
  shiftLeft: 0x64,
  /** BPF_MISC|BPF_TAX */
  toIndex: 0x07,
  /** BPF_JMP with BPF_JEQ|BPF_K, BPF_JSET|BPF_K, BPF_JGT|BPF_X */
  ifEqual: 0x15,
  ifAnyBit: 0x45,
  ifAboveIndex: 0x2d,
  /** BPF_RET|BPF_K: how many bytes pass. */
  give: 0x06,
} as const;

/** As many bytes as there are. */
export const all = 0xffff_ffff;

/** The label behind the last step. */
export const behind = "behind";

/** Writes steps whose labels are their own. */
export function writeSteps(steps: readonly Step[], writer: ByteWriter): void {
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

/**
 * Searching of messages that are not decoded, for the daemon alone: others' rules may be thousands a second. Attributes begin
 * at multiples of four bytes, so that each is found by reading one number. Places are in bytes.
 */
import { NLA_TYPE_MASK } from "../netlink/constants.ts";

/** Bytes ahead of a message's attributes: struct nfgenmsg. */
export const familyHeaderLength = 4;
/** Bytes ahead of an attribute's payload: struct nlattr. */
export const headerLength = 4;

/** Byte sequences, one of which is looked for. */
export class Patterns {
  readonly #patterns: readonly Buffer[];

  constructor(patterns: readonly (string | Uint8Array)[]) {
    this.#patterns = patterns.map((pattern) => Buffer.from(typeof pattern === "string" ? `${pattern}\0` : pattern));
  }

  /** True when one of them stands somewhere in the bytes. A text stands for itself and the NUL byte that ends it in C. */
  isIn(bytes: Uint8Array): boolean {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return this.#patterns.some((pattern) => buffer.includes(pattern));
  }
}

/** A text as it stands in a message, with its NUL byte. */
export interface Name {
  readonly length: number;
  readonly words: Int32Array;
  /** Which bits of the last word are the text's. */
  readonly lastMask: number;
}

export function nameOf(text: string): Name {
  const bytes = new TextEncoder().encode(`${text}\0`);
  const padded = new Uint8Array((bytes.length + 3) & ~3);
  padded.set(bytes);
  const spare = padded.length - bytes.length;
  return { length: bytes.length, words: wordsOf(padded), lastMask: -1 >>> (spare * 8) };
}

/** A datagram in numbers of four bytes, in host order. One that begins elsewhere than at a multiple of four is copied. */
export function wordsOf(datagram: Uint8Array): Int32Array {
  const { buffer, byteOffset, length } = (datagram.byteOffset & 3) === 0 ? datagram : datagram.slice();
  return new Int32Array(buffer, byteOffset, length >>> 2);
}

/** Where the first attribute of a type begins, -1 when there is none. */
export function findAttribute(words: Int32Array, start: number, end: number, type: number): number {
  for (let place = start; place + headerLength <= end;) {
    const header = words[place >>> 2] ?? 0;
    if (((header >>> 16) & NLA_TYPE_MASK) === type) return place;
    const length = header & 0xffff;
    if (length < headerLength) return -1;
    place += (length + 3) & ~3;
  }
  return -1;
}

/** Where an attribute ends, its padding left out. */
export function endOf(words: Int32Array, attribute: number): number {
  return attribute + ((words[attribute >>> 2] ?? 0) & 0xffff);
}

/** Where the attribute after this one begins. */
export function nextTo(words: Int32Array, attribute: number): number {
  return (endOf(words, attribute) + 3) & ~3;
}

/** True when an attribute holds exactly a name. */
export function isName(words: Int32Array, attribute: number, name: Name): boolean {
  const length = (words[attribute >>> 2] ?? 0) & 0xffff;
  return length === headerLength + name.length && beginsWith(words, attribute + headerLength, name);
}

/** True when a name stands at a place. */
export function beginsWith(words: Int32Array, place: number, name: Name): boolean {
  const first = place >>> 2;
  const last = name.words.length - 1;
  for (let index = 0; index < last; index++) if (words[first + index] !== name.words[index]) return false;
  return ((words[first + last] ?? 0) & name.lastMask) === name.words[last];
}

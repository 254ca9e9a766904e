/** Searching of messages that are not decoded, for the daemon alone: others' rules may be thousands. */
import { readU16 } from "../base/bytes.ts";
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

/** Where the first attribute of a type begins, -1 when there is none. */
export function findAttribute(body: Uint8Array, start: number, end: number, type: number): number {
  for (let offset = start; offset + headerLength <= end; offset = nextTo(body, offset)) {
    if ((readU16(body, offset + 2) & NLA_TYPE_MASK) === type) return offset;
    if (readU16(body, offset) < headerLength) return -1;
  }
  return -1;
}

/** Where an attribute ends, its padding left out. */
export function endOf(body: Uint8Array, attribute: number): number {
  return attribute + readU16(body, attribute);
}

/** Where the attribute after this one begins. */
export function nextTo(body: Uint8Array, attribute: number): number {
  return attribute + ((readU16(body, attribute) + 3) & ~3);
}

/** True when an attribute holds exactly a name. */
export function isName(body: Uint8Array, attribute: number, name: Uint8Array): boolean {
  return readU16(body, attribute) === headerLength + name.length && bytesAre(body, attribute + headerLength, name);
}

/** True when these bytes stand at a place. */
export function bytesAre(body: Uint8Array, start: number, bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) if (body[start + index] !== bytes[index]) return false;
  return true;
}

/** A name as it stands in an attribute, with its NUL byte. */
export function nameBytes(name: string): Uint8Array {
  return new TextEncoder().encode(`${name}\0`);
}

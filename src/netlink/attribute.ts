/**
 * Attributes: the typed parts of a netlink message.
 *
 *     struct nlattr { __u16 nla_len; __u16 nla_type; };   followed by the payload, padded to NLA_ALIGNTO (4) bytes
 */
import { alignTo, ByteReader, type ByteWriter, readU16, readU32, ShortReadError } from "../base/bytes.ts";
import { decodeText, encodeText } from "../base/text.ts";
import { NLA_F_NESTED, NLA_TYPE_MASK } from "./constants.ts";

const headerLength = 4;
const alignment = 4;

/** Adds an attribute whose payload is these bytes. */
export function putBytes(writer: ByteWriter, type: number, payload: Uint8Array): void {
  writer
    .u16(headerLength + payload.length)
    .u16(type)
    .bytes(payload)
    .align(alignment);
}

export function putU8(writer: ByteWriter, type: number, value: number): void {
  writer
    .u16(headerLength + 1)
    .u16(type)
    .u8(value)
    .align(alignment);
}

export function putU16Be(writer: ByteWriter, type: number, value: number): void {
  writer
    .u16(headerLength + 2)
    .u16(type)
    .be16(value)
    .align(alignment);
}

export function putU32(writer: ByteWriter, type: number, value: number): void {
  writer
    .u16(headerLength + 4)
    .u16(type)
    .u32(value);
}

/** Adds text with the NUL byte that ends it in C. */
export function putString(writer: ByteWriter, type: number, text: string): void {
  const bytes = encodeText(text);
  writer
    .u16(headerLength + bytes.length + 1)
    .u16(type)
    .bytes(bytes)
    .u8(0)
    .align(alignment);
}

/** Adds text without a closing NUL byte, as iproute2 writes the names of link kinds. */
export function putText(writer: ByteWriter, type: number, text: string): void {
  putBytes(writer, type, encodeText(text));
}

/** Adds an attribute that holds what `fill` writes: further attributes, or a structure and then attributes. */
export function putNested(writer: ByteWriter, type: number, fill: () => void): void {
  const start = writer.length;
  writer.u16(0).u16(type);
  fill();
  writer.patchU16(start, writer.length - start);
}

/** The attributes of a message or of a nested attribute, by type; of several with one type the last counts. */
export class Attributes {
  readonly #bytes: Uint8Array;
  /** Where each attribute begins, by its type: types are small numbers, and few attributes of a message are looked at. */
  readonly #offsets: number[] = [];

  /** Throws a ShortReadError when an attribute is longer than what holds it. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    for (let offset = 0; bytes.length - offset >= headerLength;) {
      const length = readU16(bytes, offset);
      if (length < headerLength || offset + length > bytes.length) {
        throw new ShortReadError(
          `Cannot read an attribute of ${length} bytes at offset ${offset}: the message has ${bytes.length}`,
        );
      }
      this.#offsets[readU16(bytes, offset + 2) & NLA_TYPE_MASK] = offset;
      offset += alignTo(length, alignment);
    }
  }

  findBytes(type: number): Uint8Array | undefined {
    const offset = this.#offsets[type];
    if (offset === undefined) return undefined;
    return this.#bytes.subarray(offset + headerLength, offset + readU16(this.#bytes, offset));
  }

  findU8(type: number): number | undefined {
    const start = this.#findStart(type, 1);
    return start === undefined ? undefined : this.#bytes[start];
  }

  findU16Be(type: number): number | undefined {
    const bytes = this.findBytes(type);
    return bytes === undefined ? undefined : new ByteReader(bytes).be16();
  }

  findU32(type: number): number | undefined {
    const start = this.#findStart(type, 4);
    return start === undefined ? undefined : readU32(this.#bytes, start);
  }

  /** Text up to its NUL byte or, where the kernel wrote none, to the attribute's end. */
  findString(type: number): string | undefined {
    const bytes = this.findBytes(type);
    if (bytes === undefined) return undefined;
    const end = bytes.indexOf(0);
    return decodeText(end < 0 ? bytes : bytes.subarray(0, end));
  }

  /** The attributes inside an attribute; none when it is absent. */
  nested(type: number): Attributes {
    return new Attributes(this.findBytes(type) ?? new Uint8Array(0));
  }

  /** Where a payload of at least `length` bytes begins. Throws a ShortReadError for a shorter one. */
  #findStart(type: number, length: number): number | undefined {
    const offset = this.#offsets[type];
    if (offset === undefined) return undefined;
    const present = readU16(this.#bytes, offset) - headerLength;
    if (present < length)
      throw new ShortReadError(`Cannot read ${length} bytes of attribute ${type}: it has ${present}`);
    return offset + headerLength;
  }
}

/** The payloads of all attributes, in order: for lists, whose attributes have one type. */
export function attributePayloads(bytes: Uint8Array): readonly Uint8Array[] {
  const payloads: Uint8Array[] = [];
  for (let offset = 0; bytes.length - offset >= headerLength;) {
    const length = readU16(bytes, offset);
    if (length < headerLength || offset + length > bytes.length) {
      throw new ShortReadError(
        `Cannot read a list's attribute of ${length} bytes at offset ${offset}: the list has ${bytes.length}`,
      );
    }
    payloads.push(bytes.subarray(offset + headerLength, offset + length));
    offset += alignTo(length, alignment);
  }
  return payloads;
}

/** The type of a nested attribute for the interfaces that want it marked as one (nf_tables; not rtnetlink's older ones). */
export function nestedType(type: number): number {
  return type | NLA_F_NESTED;
}

/**
 * Reading and writing of binary messages. Every bound is checked in one place: `#take` of the reader, `#reserve` of
 * the writer. `u16`, `u32`, … are in host order, which is little-endian on every architecture Bun compiles for;
 * `be16`, `be32` are in network order. The bytes are put together by hand: in a plugin, which ends before compiled code
 * could pay, a DataView costs more than it saves.
 */

/** Thrown by ByteReader when a message is shorter than what is read from it. */
export class ShortReadError extends Error {
  override readonly name = "ShortReadError";
}

/** Reads a byte range front to back. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  u16(): number {
    return readU16(this.#bytes, this.#take(2));
  }

  u32(): number {
    return readU32(this.#bytes, this.#take(4));
  }

  i32(): number {
    return readU32(this.#bytes, this.#take(4)) | 0;
  }

  be16(): number {
    return readBe16(this.#bytes, this.#take(2));
  }

  be32(): number {
    const start = this.#take(4);
    return readBe16(this.#bytes, start) * 0x1_0000 + readBe16(this.#bytes, start + 2);
  }

  /** A view of the next `length` bytes, not a copy. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** Moves on to the next multiple of `unit` bytes, or to the end when that comes first. */
  align(unit: number): void {
    this.#offset = Math.min(alignTo(this.#offset, unit), this.#bytes.length);
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length < 0 || start + length > this.#bytes.length) {
      throw new ShortReadError(`Cannot read ${length} bytes at offset ${start}: the message has ${this.#bytes.length}`);
    }
    this.#offset = start + length;
    return start;
  }
}

/** Writes a message front to back into a buffer that grows. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacity = 512) {
    this.#bytes = allocate(capacity);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const start = this.#reserve(1);
    this.#bytes[start] = value;
    return this;
  }

  u16(value: number): this {
    const start = this.#reserve(2);
    const bytes = this.#bytes;
    bytes[start] = value;
    bytes[start + 1] = value >>> 8;
    return this;
  }

  u32(value: number): this {
    const start = this.#reserve(4);
    const bytes = this.#bytes;
    bytes[start] = value;
    bytes[start + 1] = value >>> 8;
    bytes[start + 2] = value >>> 16;
    bytes[start + 3] = value >>> 24;
    return this;
  }

  i32(value: number): this {
    return this.u32(value);
  }

  be16(value: number): this {
    return this.u8(value >>> 8).u8(value);
  }

  be32(value: number): this {
    return this.be16(value >>> 16).be16(value);
  }

  bytes(value: Uint8Array): this {
    const start = this.#reserve(value.length);
    this.#bytes.set(value, start);
    return this;
  }

  zeros(length: number): this {
    this.#reserve(length);
    return this;
  }

  /** Pads with zeros to the next multiple of `unit` bytes. */
  align(unit: number): this {
    const rest = this.#length & (unit - 1);
    if (rest > 0) this.#reserve(unit - rest);
    return this;
  }

  /** Overwrites two bytes written before, for lengths that are known last. */
  patchU16(offset: number, value: number): void {
    writeU16(this.#bytes, offset, value);
  }

  /** Overwrites four bytes written before. */
  patchU32(offset: number, value: number): void {
    writeU32(this.#bytes, offset, value);
  }

  /** A view of what was written, valid until the next write. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written, as a copy of just that length; the writer begins anew. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
    return bytes;
  }

  /** Makes room, perhaps in a new buffer: `#bytes` must not be touched before. Returns where the room begins. */
  #reserve(length: number): number {
    const start = this.#length;
    const end = start + length;
    if (end > this.#bytes.length) {
      const larger = allocate(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, start));
      this.#bytes = larger;
    }
    this.#length = end;
    return start;
  }
}

/** Two bytes in host order; those beyond the end read as 0, so that the caller checks the bounds. */
export function readU16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
}

/** Four bytes in host order, as readU16 reads two. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return (readU16(bytes, offset) | (readU16(bytes, offset + 2) << 16)) >>> 0;
}

/**
 * A zeroed buffer whose memory does not move, so that its address may be handed to the kernel: Bun moves typed arrays
 * of up to 1,000 bytes when `.buffer` is first touched, unless the ArrayBuffer was there from the start.
 */
export function allocate(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/** The smallest multiple of `unit` (a power of two) that is not below `value`. */
export function alignTo(value: number, unit: number): number {
  return (value + unit - 1) & ~(unit - 1);
}

function readBe16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

function writeU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  writeU16(bytes, offset, value);
  writeU16(bytes, offset + 2, value >>> 16);
}

/** True when both hold the same bytes. */
export function bytesEqual(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}

import { expect, test } from "bun:test";

import { alignTo, allocate, ByteReader, bytesEqual, ByteWriter, ShortReadError } from "../../../src/base/bytes.ts";
import { bytesToHex, hexToBytes } from "../../helpers/bytes.ts";

/** One value, how it is written and read, and its bytes. */
const integers: readonly {
  readonly name: string;
  readonly value: number;
  readonly hex: string;
  readonly write: (writer: ByteWriter, value: number) => ByteWriter;
  readonly read: (reader: ByteReader) => number;
}[] = [
  { name: "u8", value: 0xfe, hex: "fe", write: (w, v) => w.u8(v), read: (r) => r.u8() },
  { name: "u16", value: 0x1234, hex: "3412", write: (w, v) => w.u16(v), read: (r) => r.u16() },
  { name: "u32", value: 0x89abcdef, hex: "efcdab89", write: (w, v) => w.u32(v), read: (r) => r.u32() },
  { name: "i32", value: -2, hex: "feffffff", write: (w, v) => w.i32(v), read: (r) => r.i32() },
  { name: "be16", value: 8472, hex: "2118", write: (w, v) => w.be16(v), read: (r) => r.be16() },
  { name: "be32", value: 0x89abcdef, hex: "89abcdef", write: (w, v) => w.be32(v), read: (r) => r.be32() },
];

test.each(integers)("ByteWriter and ByteReader agree on $name $value", ({ value, hex, write, read }) => {
  expect(bytesToHex(write(new ByteWriter(1), value).finish())).toBe(hex);
  const reader = new ByteReader(hexToBytes(hex));
  expect(read(reader)).toBe(value);
  expect(reader.remaining).toBe(0);
});

test.each(integers)("ByteReader.$name throws when one byte is missing, and does not move", ({ hex, read }) => {
  const reader = new ByteReader(hexToBytes(hex.slice(2)));
  expect(() => read(reader)).toThrow(ShortReadError);
  expect(reader.offset).toBe(0);
});

test("ByteReader reads a range of a larger buffer and nothing beside it", () => {
  const reader = new ByteReader(hexToBytes("aa 01020304 bb").subarray(1, 5));
  expect(reader.be16()).toBe(0x0102);
  expect(reader.remaining).toBe(2);
  expect(() => reader.u32()).toThrow("Cannot read 4 bytes at offset 2: the message has 4");
  expect(reader.be16()).toBe(0x0304);
});

test("ByteReader.bytes() is a view of the message", () => {
  const message = hexToBytes("01020304");
  const reader = new ByteReader(message);
  reader.skip(1);
  const part = reader.bytes(2);
  message[1] = 9;
  expect(bytesToHex(part)).toBe("0903");
});

test("ByteReader refuses to go back and to go beyond the end", () => {
  const reader = new ByteReader(hexToBytes("01020304"));
  reader.skip(2);
  expect(() => reader.bytes(-1)).toThrow(ShortReadError);
  expect(() => reader.skip(-2)).toThrow(ShortReadError);
  expect(() => reader.skip(3)).toThrow(ShortReadError);
  expect(bytesToHex(reader.bytes(2))).toBe("0304");
  expect(bytesToHex(reader.bytes(0))).toBe("");
});

test("ByteReader.align() stops at the end of a message that is not padded", () => {
  const reader = new ByteReader(hexToBytes("0102030405"));
  reader.skip(1);
  reader.align(4);
  expect(reader.offset).toBe(4);
  reader.align(4);
  expect(reader.offset).toBe(4);
  reader.skip(1);
  reader.align(4);
  expect(reader.remaining).toBe(0);
});

test("ByteWriter grows and keeps what was written", () => {
  const writer = new ByteWriter(1);
  for (let value = 0; value < 1000; value++) writer.be16(value);
  const bytes = writer.finish();
  expect(bytes.length).toBe(2000);
  const reader = new ByteReader(bytes);
  for (let value = 0; value < 1000; value++) expect(reader.be16()).toBe(value);
});

test("ByteWriter takes bytes that are longer than twice its buffer", () => {
  const writer = new ByteWriter(4).u8(1).bytes(new Uint8Array(100).fill(7)).u8(2);
  expect(writer.length).toBe(102);
  expect(bytesToHex(writer.finish())).toBe(`01${"07".repeat(100)}02`);
});

test("ByteWriter pads with zeros, also over what another message left behind", () => {
  const writer = new ByteWriter(8).u8(1).align(4).align(4).u8(2).zeros(2);
  expect(bytesToHex(writer.finish())).toBe("01000000020000");
});

test("ByteWriter patches lengths after it has grown", () => {
  const writer = new ByteWriter(4).u32(0).u16(0);
  writer.bytes(new Uint8Array(10));
  writer.patchU32(0, 0x01020304);
  writer.patchU16(4, 0xaabb);
  expect(bytesToHex(writer.finish().subarray(0, 6))).toBe("04030201bbaa");
});

test("ByteWriter hands out copies of what was written, and begins anew with zeros", () => {
  const writer = new ByteWriter(4).u32(0x01020304).u32(0xffffffff);
  const first = writer.take();
  const second = writer.zeros(8).u8(1).take();
  expect(bytesToHex(first)).toBe("04030201ffffffff");
  expect(bytesToHex(second)).toBe("000000000000000001");
  expect(writer.length).toBe(0);
});

test("allocate() gives memory that stays where it is when its buffer is touched", () => {
  const bytes = allocate(16);
  const before = bytes.buffer;
  bytes[0] = 1;
  expect(bytes.buffer).toBe(before);
  expect(bytesToHex(bytes)).toBe(`01${"00".repeat(15)}`);
});

test("alignTo() rounds up to the unit", () => {
  expect([0, 1, 3, 4, 5, 16].map((value) => alignTo(value, 4))).toEqual([0, 4, 4, 4, 8, 16]);
});

test("bytesEqual() compares length and content", () => {
  const bytes = hexToBytes("010203");
  expect(bytesEqual(bytes, hexToBytes("010203"))).toBe(true);
  expect(bytesEqual(bytes, hexToBytes("010204"))).toBe(false);
  expect(bytesEqual(bytes, hexToBytes("01020300"))).toBe(false);
  expect(bytesEqual(hexToBytes(""), new Uint8Array(0))).toBe(true);
});

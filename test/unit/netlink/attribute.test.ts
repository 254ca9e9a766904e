import { expect, test } from "bun:test";

import { ByteWriter, ShortReadError } from "../../../src/base/bytes.ts";
import {
  Attributes,
  nestedType,
  putBytes,
  putNested,
  putString,
  putText,
  putU16Be,
  putU32,
  putU8,
} from "../../../src/netlink/attribute.ts";
import { bytesToHex, hexToBytes } from "../../helpers/bytes.ts";

/** Each as `struct nlattr` says: length with header but without padding, type, payload, zeros up to a multiple of 4. */
const written: readonly (readonly [name: string, hex: string, put: (writer: ByteWriter) => void])[] = [
  ["putU8", "0500 0700 01 000000", (writer) => putU8(writer, 7, 1)],
  ["putU16Be", "0600 0f00 2118 0000", (writer) => putU16Be(writer, 15, 8472)],
  ["putU32", "0800 0400 aa050000", (writer) => putU32(writer, 4, 1450)],
  ["putBytes", "0a00 0100 0a580af40101 0000", (writer) => putBytes(writer, 1, hexToBytes("0a580af40101"))],
  ["putBytes of none", "0400 1700", (writer) => putBytes(writer, 23, hexToBytes(""))],
  ["putString", "0900 0300 636e693000 000000", (writer) => putString(writer, 3, "cni0")],
  ["putString of three letters", "0800 0300 62723100", (writer) => putString(writer, 3, "br1")],
  ["putText", "0800 0100 76657468", (writer) => putText(writer, 1, "veth")],
  ["putText beyond ASCII", "0600 1400 c3bc 0000", (writer) => putText(writer, 20, "ü")],
];

test.each(written)("%s() writes %s", (_name, hex, put) => {
  const writer = new ByteWriter(1);
  put(writer);
  expect(bytesToHex(writer.finish())).toBe(hex.replaceAll(" ", ""));
});

test("putNested() knows its length when all is written, whatever stands before it", () => {
  const writer = new ByteWriter(2);
  putU8(writer, 1, 9);
  putNested(writer, 18, () => {
    putText(writer, 1, "vxlan");
    putNested(writer, 2, () => putU32(writer, 1, 7));
  });
  putNested(writer, 3, () => undefined);
  expect(bytesToHex(writer.finish())).toBe(
    ["0500010009000000", "1c001200", "0900010076786c616e000000", "0c000200", "0800010007000000", "04000300"].join(""),
  );
});

test("nestedType() sets the flag that marks nested attributes", () => {
  expect(nestedType(12)).toBe(0x800c);
});

test("Attributes reads each kind of value by its type", () => {
  const attributes = new Attributes(
    hexToBytes(
      ["0500070001000000", "06000f0021180000", "08000400aa050000", "09000300636e693000000000", "0400170004001800"].join(
        "",
      ),
    ),
  );
  expect({
    u8: attributes.findU8(7),
    port: attributes.findU16Be(15),
    mtu: attributes.findU32(4),
    name: attributes.findString(3),
    flag: attributes.findBytes(23)?.length,
  }).toEqual({ u8: 1, port: 8472, mtu: 1450, name: "cni0", flag: 0 });
});

test("Attributes gives undefined and empty nests for what is absent", () => {
  const attributes = new Attributes(hexToBytes(""));
  expect([
    attributes.findU8(1),
    attributes.findU16Be(1),
    attributes.findU32(1),
    attributes.findString(1),
    attributes.findBytes(1),
    attributes.nested(1).nested(2).findBytes(3),
  ]).toEqual([undefined, undefined, undefined, undefined, undefined, undefined]);
});

test("Attributes passes over the flags in a type, takes the last of several, and ends text at its NUL byte", () => {
  const attributes = new Attributes(
    hexToBytes(
      ["0c000280", "0800014001000000", "0800030001000000", "0800030002000000", "0a000500 6162 00 636465 0000"].join(""),
    ),
  );
  expect(attributes.nested(2).findU32(1)).toBe(1);
  expect(attributes.findU32(3)).toBe(2);
  expect(attributes.findString(5)).toBe("ab");
});

test("Attributes reads text without a NUL byte, and bytes that are no UTF-8", () => {
  const attributes = new Attributes(hexToBytes("08000100 76657468 06000200 fffe 0000"));
  expect(attributes.findString(1)).toBe("veth");
  expect(attributes.findString(2)).toBe("\u{FFFD}\u{FFFD}");
});

test("Attributes leaves out a rest that is too short for a header, as the kernel does", () => {
  expect(new Attributes(hexToBytes("0500070001000000 0800")).findU8(7)).toBe(1);
});

/** Each would lead a careless reader beyond the end or around for ever. */
const broken: readonly (readonly [hex: string, why: string])[] = [
  ["0900070001000000", "longer than what holds it"],
  ["ffff0700", "longer than what holds it"],
  ["0000070001000000", "shorter than its own header"],
  ["0300070001000000", "shorter than its own header"],
  ["0500070001000000 0c000100 00000000", "the second longer than the rest"],
];

test.each(broken)("Attributes refuses %s: %s", (hex) => {
  expect(() => new Attributes(hexToBytes(hex))).toThrow(ShortReadError);
});

test("Attributes refuses a value that is shorter than what is read from it", () => {
  const attributes = new Attributes(hexToBytes("05000100 01000000 04000200"));
  expect(() => attributes.findU32(1)).toThrow(ShortReadError);
  expect(() => attributes.findU16Be(1)).toThrow(ShortReadError);
  expect(() => attributes.findU8(2)).toThrow(ShortReadError);
});

import { expect, test } from "bun:test";

import { findMac, isMac, localMac, macBytes, macFromBytes, parseMac } from "../../../src/addr/mac.ts";
import { bytesToHex, hexToBytes } from "../../helpers/bytes.ts";

const good: readonly string[] = [
  "5a:dd:cc:32:b4:3b",
  "5A:DD:CC:32:B4:3B",
  "5a-dd-cc-32-b4-3b",
  "5A-dd-CC-32-b4-3B",
  "5add.cc32.b43b",
  "5ADD.CC32.B43B",
];

test.each(good)("findMac() reads %s", (text) => {
  const mac = parseMac(text);
  expect(isMac(mac)).toBe(true);
  expect(bytesToHex(macBytes(mac))).toBe("5addcc32b43b");
  expect(macFromBytes(macBytes(mac))).toBe(mac);
});

/** All but the last three Go's net.ParseMAC refuses, too; those are longer addresses, and digits alone (since Go 1.26). */
const bad: readonly string[] = [
  "",
  "5a",
  "5a:dd:cc:32:b4",
  "a:dd:cc:32:b4:3b",
  "5a:dd:cc:32:b4:3",
  "5a:dd:cc:32:b4:3b:",
  ":5a:dd:cc:32:b4:3b",
  "5a:dd-cc:32-b4:3b",
  "5a:dd-cc-32-b4-3b",
  "5add-cc32-b43b",
  "5add.cc32:b43b",
  "5add.cc32b43b",
  "5a.dd.cc.32.b4.3b",
  "5g:dd:cc:32:b4:3b",
  " 5a:dd:cc:32:b4:3b",
  "5a:dd:cc:32:b4:3b\n",
  "5a dd cc 32 b4 3b",
  "0x5a:dd:cc:32:b4:3b",
  "5a:dd:cc:32:b4:3b:00:01",
  "5add.cc32.b43b.0001",
  "5addcc32b43b",
];

test.each(bad)("findMac() refuses %j", (text) => {
  expect(findMac(text)).toBeUndefined();
  expect(() => parseMac(text)).toThrow(`Cannot parse hardware address "${text}": it must be six bytes in hexadecimal`);
});

test("isMac() is true for the canonical text alone", () => {
  const canonical: readonly string[] = good.filter(isMac);
  expect(canonical).toEqual(["5a:dd:cc:32:b4:3b"]);
  expect(bad.filter(isMac)).toEqual([]);
});

test("macFromBytes() writes leading zeros and refuses another number of bytes", () => {
  expect(macFromBytes(hexToBytes("000102030a0f"))).toBe(parseMac("00:01:02:03:0a:0f"));
  for (const length of [0, 5, 7, 8]) {
    expect(() => macFromBytes(new Uint8Array(length))).toThrow(`a hardware address of ${length} bytes: it has 6`);
  }
});

test("localMac() makes an address local and unicast and leaves its bytes as they were", () => {
  const bytes = hexToBytes("fffefdfcfbfa 99");
  expect(localMac(bytes)).toBe(parseMac("fe:fe:fd:fc:fb:fa"));
  expect(localMac(hexToBytes("000000000000"))).toBe(parseMac("02:00:00:00:00:00"));
  expect(bytesToHex(bytes)).toBe("fffefdfcfbfa99");
  expect(() => localMac(hexToBytes("0102"))).toThrow(RangeError);
});

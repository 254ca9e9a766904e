import { expect, test } from "bun:test";
import { Address4, Address6 } from "ip-address";

import { ipFromInteger, ipToInteger } from "../../../src/addr/integer.ts";
import { formatIp, parseIp } from "../../../src/addr/ip.ts";

test.each(["0.0.0.0", "10.244.1.77", "255.255.255.255"])("ipToInteger(%s) is ip-address's number, and back", (text) => {
  const value = ipToInteger(parseIp(text));
  expect(value).toBe(new Address4(text).bigInt());
  expect(formatIp(ipFromInteger(4, value))).toBe(text);
});

test.each(["::", "::1", "fd00:10:244:1::7", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"])(
  "ipToInteger(%s) is ip-address's number, and back",
  (text) => {
    const value = ipToInteger(parseIp(text));
    expect(value).toBe(new Address6(text).bigInt());
    expect(formatIp(ipFromInteger(6, value))).toBe(text);
  },
);

test("ipFromInteger() refuses numbers that the family does not have", () => {
  expect(() => ipFromInteger(4, 2n ** 32n)).toThrow(
    "Cannot make an IPv4 address: 4294967296 is not a number of 32 bits",
  );
  expect(() => ipFromInteger(4, -1n)).toThrow(RangeError);
  expect(() => ipFromInteger(6, 2n ** 128n)).toThrow(RangeError);
  expect(formatIp(ipFromInteger(6, 2n ** 32n))).toBe("::1:0:0");
});

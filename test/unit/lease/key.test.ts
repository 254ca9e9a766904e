import { expect, test } from "bun:test";

import { formatCidr, parseCidr } from "../../../src/addr/cidr.ts";
import { findLeaseKey, formatLeaseKey, parseLeaseKey } from "../../../src/lease/key.ts";

const keys: readonly (readonly [string, string, string | undefined])[] = [
  ["10.12.13.0-24", "10.12.13.0/24", undefined],
  ["10.12.13.0-24&fd00:12:13::-56", "10.12.13.0/24", "fd00:12:13::/56"],
  ["10.12.13.14-31", "10.12.13.14/31", undefined],
  ["0.0.0.0-0", "0.0.0.0/0", undefined],
  ["10.12.13.0-24&fd00::2-127", "10.12.13.0/24", "fd00::2/127"],
];

test.each(keys)("parseLeaseKey() and formatLeaseKey() turn %s into subnets and back", (key, ipv4, ipv6) => {
  const subnets = parseLeaseKey(key);
  expect(subnets[4] && formatCidr(subnets[4])).toBe(ipv4);
  expect(subnets[6] && formatCidr(subnets[6])).toBe(ipv6);
  expect(formatLeaseKey({ 4: parseCidr(ipv4), 6: ipv6 === undefined ? undefined : parseCidr(ipv6) })).toBe(key);
});

/** The first eleven are those of upstream's own test, the rest are other spellings of good keys and out of range. */
const invalid = [
  "10",
  "10.12.13.0",
  "10.12.13-24",
  "10.12.13.300-24",
  "10.12.13.0-24hi",
  "&2001::-56",
  "10.12.13.0-24&:12:13:-56",
  "10.12.13.0-24&20011::-56",
  "10.12.13.0-24&2001-56",
  "10.12.13.0-24&2001::",
  "10.12.13.0-24&2001::-56hi",
  "",
  "-24",
  "10.12.13.0-32",
  "10.12.13.0-33",
  "10.12.13.0-024",
  "10.12.13.0--24",
  "10.12.13.0/24",
  "x10.12.13.0-24",
  "10.12.013.0-24",
  "10.12.13.1-24",
  "fd00:12:13::-56",
  "10.12.13.0-24&",
  "10.12.13.0-24&10.12.14.0-24",
  "10.12.13.0-24&fd00::-128",
  "10.12.13.0-24&FD00::-64",
  "10.12.13.0-24&fd00:0::-64",
  "10.12.13.0-24&fd00::1-64",
  "10.12.13.0-24&fd00::-64&fd01::-64",
  "::ffff:10.12.13.0-120",
];

test.each(invalid)("findLeaseKey() finds nothing in %p", (key) => {
  expect(findLeaseKey(key)).toBeUndefined();
});

test("parseLeaseKey() throws an error that quotes the key", () => {
  expect(() => parseLeaseKey("10.12.13.0")).toThrow(
    'Cannot read lease key "10.12.13.0": it must be like "10.244.1.0-24"',
  );
});

test("formatLeaseKey() refuses a lease without IPv4, which flannel's keys cannot name", () => {
  expect(() => formatLeaseKey({ 4: undefined, 6: parseCidr("fd00::/64") })).toThrow("there is no IPv4 subnet");
});

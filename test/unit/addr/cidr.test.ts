import { expect, test } from "bun:test";
import { Address4, Address6 } from "ip-address";

import {
  type Cidr,
  cidrContains,
  cidrEquals,
  cidrOf,
  cidrsOverlap,
  findCidr,
  firstHost,
  formatCidr,
  isNetwork,
  lastAddress,
  networkOf,
  nextCidr,
  parseCidr,
} from "../../../src/addr/cidr.ts";
import { formatIp, parseIp } from "../../../src/addr/ip.ts";

/** Text; then as it is written again, its network, its last address and its first host. */
const good: readonly (readonly [text: string, again: string, network: string, last: string, host: string])[] = [
  ["10.244.1.0/24", "10.244.1.0/24", "10.244.1.0/24", "10.244.1.255", "10.244.1.1"],
  ["10.244.1.77/24", "10.244.1.77/24", "10.244.1.0/24", "10.244.1.255", "10.244.1.1"],
  ["10.255.255.255/0", "10.255.255.255/0", "0.0.0.0/0", "255.255.255.255", "0.0.0.1"],
  ["10.244.1.255/25", "10.244.1.255/25", "10.244.1.128/25", "10.244.1.255", "10.244.1.129"],
  ["10.244.1.3/31", "10.244.1.3/31", "10.244.1.2/31", "10.244.1.3", "10.244.1.3"],
  ["10.244.1.3/32", "10.244.1.3/32", "10.244.1.3/32", "10.244.1.3", "10.244.1.4"],
  [
    "fd00:10:244:1::9/64",
    "fd00:10:244:1::9/64",
    "fd00:10:244:1::/64",
    "fd00:10:244:1:ffff:ffff:ffff:ffff",
    "fd00:10:244:1::1",
  ],
  ["FD00::/13", "fd00::/13", "fd00::/13", "fd07:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd00::1"],
  ["::/0", "::/0", "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1"],
  ["::ffff:10.0.0.9/104", "10.0.0.9/8", "10.0.0.0/8", "10.255.255.255", "10.0.0.1"],
  ["::ffff:10.0.0.9/128", "10.0.0.9/32", "10.0.0.9/32", "10.0.0.9", "10.0.0.10"],
];

test.each(good)("findCidr() reads %s", (text, again, network, last, host) => {
  const cidr = parseCidr(text);
  expect({
    again: formatCidr(cidr),
    network: formatCidr(networkOf(cidr)),
    last: formatIp(lastAddress(cidr)),
    host: formatIp(firstHost(cidr)),
    isNetwork: isNetwork(cidr),
  }).toEqual({ again, network, last, host, isNetwork: again === network });
});

/** The last five Go's net.ParseCIDR takes: a leading zero in the length, and a mapped address cut above its IPv4 part. */
const bad: readonly string[] = [
  "",
  "/",
  "/24",
  "10.244.1.0",
  "10.244.1.0/",
  "10.244.1.0/33",
  "::/129",
  "10.244.1/24",
  "10.244.1.0/1/2",
  "10.244.1.0/-1",
  "10.244.1.0/+1",
  "10.244.1.0/ 24",
  "10.244.1.0/24 ",
  " 10.244.1.0/24",
  "10.244.1.0/24\n",
  "10.244.1.0/2x",
  "10.244.1.0/1e1",
  "10.244.1.0/255.255.255.0",
  "fe80::1%eth0/64",
  "10.244.1.0-24",
  "10.244.1.0/024",
  "10.244.1.0/00",
  "::/064",
  "::ffff:10.0.0.1/95",
  "::ffff:10.0.0.1/0",
];

test.each(bad)("findCidr() refuses %j", (text) => {
  expect(findCidr(text)).toBeUndefined();
  expect(() => parseCidr(text)).toThrow(`Cannot parse CIDR "${text}": it must be ADDRESS/PREFIX-LENGTH`);
});

test("networkOf() and lastAddress() agree with ip-address for every prefix length", () => {
  for (let length = 0; length <= 32; length++) {
    const other = new Address4(`172.21.203.117/${length}`);
    const cidr = parseCidr(other.address);
    expect(formatIp(networkOf(cidr).address)).toBe(other.startAddress().correctForm());
    expect(formatIp(lastAddress(cidr))).toBe(other.endAddress().correctForm());
  }
  for (let length = 0; length <= 128; length++) {
    const other = new Address6(`fd5a:dead:beef:1234:9abc:def0:1357:9bdf/${length}`);
    const cidr = parseCidr(other.address);
    expect(formatIp(networkOf(cidr).address)).toBe(other.startAddress().correctForm());
    expect(formatIp(lastAddress(cidr))).toBe(other.endAddress().correctForm());
  }
});

test("cidrOf() takes the whole address when no length is given, and refuses lengths the family does not have", () => {
  expect(formatCidr(cidrOf(parseIp("10.0.0.1")))).toBe("10.0.0.1/32");
  expect(formatCidr(cidrOf(parseIp("fd00::1")))).toBe("fd00::1/128");
  expect(formatCidr(cidrOf(parseIp("10.0.0.1"), 0))).toBe("10.0.0.1/0");
  expect(() => cidrOf(parseIp("10.0.0.1"), 33)).toThrow("a CIDR of 10.0.0.1: prefix length 33 is out of range");
  expect(() => cidrOf(parseIp("fd00::1"), 129)).toThrow(RangeError);
  expect(() => cidrOf(parseIp("fd00::1"), -1)).toThrow(RangeError);
});

/** Which of two prefixes hold one another; the families are apart even where the bits agree. */
const pairs: readonly (readonly [left: string, right: string, overlap: boolean])[] = [
  ["10.244.0.0/16", "10.244.1.0/24", true],
  ["10.244.1.0/24", "10.244.2.0/24", false],
  ["10.244.1.0/24", "10.244.1.128/25", true],
  ["10.244.1.0/25", "10.244.1.128/25", false],
  ["10.244.1.77/24", "10.244.1.1/24", true],
  ["10.244.1.1/32", "10.244.1.1/32", true],
  ["0.0.0.0/0", "255.255.255.255/32", true],
  ["0.0.0.0/0", "::/0", false],
  ["fd00::/8", "fdff:ffff::/32", true],
  ["fd00:1::/32", "fd00:2::/32", false],
];

test.each(pairs)("cidrsOverlap(%s, %s) is %p, in either order", (left, right, overlap) => {
  expect(cidrsOverlap(parseCidr(left), parseCidr(right))).toBe(overlap);
  expect(cidrsOverlap(parseCidr(right), parseCidr(left))).toBe(overlap);
});

test("cidrContains() includes both ends and nothing beyond", () => {
  const cidr = parseCidr("10.244.1.9/24");
  const texts = ["10.244.0.255", "10.244.1.0", "10.244.1.255", "10.244.2.0", "fd00::1"];
  expect(texts.filter((text) => cidrContains(cidr, parseIp(text)))).toEqual(["10.244.1.0", "10.244.1.255"]);
});

test("cidrEquals() compares address and length", () => {
  const cidr = parseCidr("10.244.1.0/24");
  const texts = ["10.244.1.0/24", "10.244.1.1/24", "10.244.1.0/25", "::/24"];
  expect(texts.filter((text) => cidrEquals(cidr, parseCidr(text)))).toEqual(["10.244.1.0/24"]);
});

function steps(text: string, count: number): readonly string[] {
  const found: string[] = [];
  for (let cidr: Cidr = parseCidr(text); found.length < count; cidr = nextCidr(cidr)) found.push(formatCidr(cidr));
  return found;
}

test("nextCidr() walks through a network and wraps at the end of the address space", () => {
  expect(steps("10.244.254.0/24", 3)).toEqual(["10.244.254.0/24", "10.244.255.0/24", "10.245.0.0/24"]);
  expect(steps("10.244.1.192/26", 2)).toEqual(["10.244.1.192/26", "10.244.2.0/26"]);
  expect(steps("255.255.255.0/24", 2)).toEqual(["255.255.255.0/24", "0.0.0.0/24"]);
  expect(steps("fd00:0:0:ffff::/64", 2)).toEqual(["fd00:0:0:ffff::/64", "fd00:0:1::/64"]);
});

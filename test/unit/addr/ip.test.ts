import { expect, test } from "bun:test";
import { Address4, Address6 } from "ip-address";

import {
  compareIp,
  families,
  familyBits,
  findIp,
  formatIp,
  ipAdd,
  ipEquals,
  ipFromBytes,
  isMulticast,
  isUnspecified,
  parseIp,
} from "../../../src/addr/ip.ts";
import { hexToBytes } from "../../helpers/bytes.ts";

/** Text, family and canonical text; each is what Go's net.ParseIP makes of it, too. */
const good: readonly (readonly [text: string, family: 4 | 6, canonical: string])[] = [
  ["0.0.0.0", 4, "0.0.0.0"],
  ["255.255.255.255", 4, "255.255.255.255"],
  ["10.244.1.1", 4, "10.244.1.1"],
  ["::", 6, "::"],
  ["::1", 6, "::1"],
  ["FD00:10:244::A", 6, "fd00:10:244::a"],
  ["fd00:0010:0244:0:0:0:0:000a", 6, "fd00:10:244::a"],
  ["1:2:3:4:5:6:7:8", 6, "1:2:3:4:5:6:7:8"],
  ["1:0:3:4:5:6:7:8", 6, "1:0:3:4:5:6:7:8"],
  ["1:2:3:4:5:6:7::", 6, "1:2:3:4:5:6:7:0"],
  ["::2:3:4:5:6:7:8", 6, "0:2:3:4:5:6:7:8"],
  ["1:0:0:4:0:0:0:8", 6, "1:0:0:4::8"],
  ["1:0:0:4:5:0:0:8", 6, "1::4:5:0:0:8"],
  ["::1.2.3.4", 6, "::102:304"],
  ["1:2:3:4:5:6:1.2.3.4", 6, "1:2:3:4:5:6:102:304"],
  ["::ffff:0:1.2.3.4", 6, "::ffff:0:102:304"],
  ["::ffff:1.2.3.4", 4, "1.2.3.4"],
  ["::FFFF:102:304", 4, "1.2.3.4"],
  ["0:0:0:0:0:ffff:1.2.3.4", 4, "1.2.3.4"],
];

test.each(good)("findIp() reads %s as an IPv%i address", (text, family, canonical) => {
  const address = parseIp(text);
  expect({ family: address.family, length: address.bytes.length, text: formatIp(address) }).toEqual({
    family,
    length: familyBits(family) / 8,
    text: canonical,
  });
  expect(parseIp(canonical)).toEqual(address);
});

const bad: readonly string[] = [
  "",
  " ",
  "10.244.1",
  "10.244.1.1.1",
  "1..2.3",
  "256.1.1.1",
  "01.2.3.4",
  "1.2.3.04",
  "00.0.0.0",
  "0x10.1.1.1",
  " 1.2.3.4",
  "1.2.3.4 ",
  "1.2.3.4\n",
  "+1.2.3.4",
  "-1.2.3.4",
  "1e1.2.3.4",
  "1.2.3.4/24",
  "1.2.3.4:80",
  "١.2.3.4",
  "1.2.3.4%eth0",
  "1.2.3.-0",
  ".1.2.3.4",
  "1.2.3.4.",
  "1,2,3,4",
  "16909060",
  "localhost",
  ":",
  ":::",
  ":1::",
  "1::2:",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8::",
  "::1:2:3:4:5:6:7:8",
  "1:2:3:4::5:6:7:8",
  "12345::",
  "00001::",
  "::g",
  "::-1",
  "[::1]",
  "::1/64",
  "::1 ",
  "\t::1",
  "::1.2.3",
  "::1.2.3.4:5",
  "1.2.3.4::",
  "::ffff:256.1.1.1",
  "::ffff:1.2.3.04",
  "1:2:3:4:5:6:7:1.2.3.4",
  "fe80::1%eth0",
  "fe80::1%25eth0",
  "::1%",
  "%eth0",
];

test.each(bad)("findIp() refuses %j", (text) => {
  expect(findIp(text)).toBeUndefined();
  expect(() => parseIp(text)).toThrow(`Cannot parse IP address "${text}": it is neither IPv4 nor IPv6`);
});

/** What another library makes of a text, `undefined` when it refuses it. */
function witness(text: string): string | undefined {
  try {
    return text.includes(":") ? new Address6(text).correctForm() : new Address4(text).correctForm();
  } catch {
    return undefined;
  }
}

/** Where we mean to differ from ip-address: it takes a zone and a prefix length, and keeps mapped addresses IPv6. */
function wanted(text: string): string | undefined {
  if (text.includes("%") || text.includes("/")) return undefined;
  const other = witness(text);
  const mapped = other === undefined ? null : /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(other);
  if (mapped === null) return other;
  const groups = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return groups.flatMap((group) => [group >> 8, group & 0xff]).join(".");
}

/** The same numbers in [0, 1) on every run (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function pick(list: readonly string[], place: number): string {
  return list[Math.floor(place * list.length)] ?? "";
}

test("findIp() and ip-address agree on the tables, but for zones, prefix lengths and mapped addresses", () => {
  const texts = [...good.map(([text]) => text), ...bad];
  const differing = texts.filter((text) => witness(text) !== wanted(text));
  expect(differing).toEqual([
    "::ffff:1.2.3.4",
    "::FFFF:102:304",
    "0:0:0:0:0:ffff:1.2.3.4",
    "1.2.3.4/24",
    "::1/64",
    "fe80::1%eth0",
    "fe80::1%25eth0",
    "::1%",
  ]);
});

test("findIp() and ip-address agree on 20,000 texts made of parts of addresses", () => {
  const random = seededRandom(1);
  const parts = ["0", "1", "9", "00", "10", "255", "256", "ffff", "a", "FD00", "1.2.3.4", "", " ", "g", "0x1"] as const;
  const joints = [":", ":", ":", "::", ".", ".", ".", "%", "/", "-"] as const;
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    const joint = pick(joints, random());
    const count = 1 + Math.floor(random() * 8);
    const length = joint === "." ? Math.min(count, 5) : count;
    const text = Array.from({ length }, () => pick(parts, random())).reduce((left, right) => {
      return `${left}${random() < 0.9 ? joint : pick(joints, random())}${right}`;
    });
    const found = findIp(text);
    const own = found === undefined ? undefined : formatIp(found);
    if (own !== undefined) accepted++;
    expect({ text, address: own }).toEqual({ text, address: wanted(text) });
  }
  expect(accepted).toBeGreaterThan(400);
});

test("formatIp() and ip-address write 5,000 addresses alike, and findIp() reads them back", () => {
  const random = seededRandom(2);
  for (let round = 0; round < 5000; round++) {
    const length = round % 2 === 0 ? 4 : 16;
    // Many zero bytes, for runs of zeros of every place and length.
    const bytes = Uint8Array.from({ length }, () => (random() < 0.6 ? 0 : Math.floor(random() * 256)));
    const address = ipFromBytes(bytes);
    const text = formatIp(address);
    expect(text).toBe(
      length === 4
        ? Address4.fromByteArray([...bytes]).correctForm()
        : Address6.fromUnsignedByteArray([...bytes]).correctForm(),
    );
    expect(findIp(text)).toEqual(address);
  }
});

test("ipFromBytes() copies 4 or 16 bytes and refuses other numbers of them", () => {
  const bytes = hexToBytes("0af40101");
  const address = ipFromBytes(bytes);
  bytes[0] = 11;
  expect(formatIp(address)).toBe("10.244.1.1");
  expect(formatIp(ipFromBytes(hexToBytes("fd00001002440001 0000000000000000")))).toBe("fd00:10:244:1::");
  for (const length of [0, 3, 5, 15, 17]) {
    expect(() => ipFromBytes(new Uint8Array(length))).toThrow(`an IP address of ${length} bytes: it has 4 or 16`);
  }
});

test("ipFromBytes() leaves 16 bytes an IPv6 address, mapped or not", () => {
  expect(ipFromBytes(hexToBytes("00000000000000000000ffff01020304")).family).toBe(6);
});

test("compareIp() orders by family and then by value, and ipEquals() agrees with it", () => {
  const texts = [
    "0.0.0.0",
    "9.255.255.255",
    "10.0.0.0",
    "10.0.0.1",
    "255.255.255.255",
    "::",
    "::a",
    "fd00::",
    "ff02::1",
  ];
  const addresses = texts.map(parseIp);
  for (const [left, one] of addresses.entries()) {
    for (const [right, other] of addresses.entries()) {
      expect(Math.sign(compareIp(one, other))).toBe(Math.sign(left - right));
      expect(ipEquals(one, other)).toBe(left === right);
    }
  }
});

const sums: readonly (readonly [from: string, count: number, to: string])[] = [
  ["10.244.1.255", 1, "10.244.2.0"],
  ["10.244.2.0", -1, "10.244.1.255"],
  ["10.0.0.0", 65_536, "10.1.0.0"],
  ["10.0.0.0", 2 ** 31, "138.0.0.0"],
  ["255.255.255.255", 1, "0.0.0.0"],
  ["0.0.0.0", -1, "255.255.255.255"],
  ["0.0.0.0", -256, "255.255.255.0"],
  ["::ffff:ffff", 1, "::1:0:0"],
  ["fd00::", -1, "fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 2, "::1"],
  ["::", 2 ** 40 + 3, "::100:0:3"],
  ["10.1.2.3", 0, "10.1.2.3"],
];

test.each(sums)("ipAdd(%s, %i) is %s, and back", (from, count, to) => {
  expect(formatIp(ipAdd(parseIp(from), count))).toBe(to);
  expect(formatIp(ipAdd(parseIp(to), -count))).toBe(from);
});

test("ipAdd() leaves the address it starts from as it was", () => {
  const address = parseIp("10.0.0.255");
  ipAdd(address, 1);
  expect(formatIp(address)).toBe("10.0.0.255");
});

test("isMulticast() and isUnspecified() know their ranges", () => {
  const texts = ["223.255.255.255", "224.0.0.0", "239.255.255.255", "240.0.0.0", "fe00::", "ff00::", "ff02::1"];
  expect(texts.filter((text) => isMulticast(parseIp(text)))).toEqual([
    "224.0.0.0",
    "239.255.255.255",
    "ff00::",
    "ff02::1",
  ]);
  expect(["0.0.0.0", "::", "0.0.0.1", "::1"].filter((text) => isUnspecified(parseIp(text)))).toEqual(["0.0.0.0", "::"]);
});

test("families lists IPv4 first", () => {
  expect(families.map(familyBits)).toEqual([32, 128]);
});

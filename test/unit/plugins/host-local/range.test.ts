import { expect, test } from "bun:test";

import { formatCidr, parseCidr } from "../../../../src/addr/cidr.ts";
import { formatIp, parseIp } from "../../../../src/addr/ip.ts";
import { errorText } from "../../../../src/base/error.ts";
import { CniError } from "../../../../src/cni/error.ts";
import { findRange, formatRangeSet, planRangeSets, type RangeSpec } from "../../../../src/plugins/host-local/range.ts";

/** `SUBNET [START] [END] [GATEWAY]`, with `-` for what is left out. */
function spec(text: string): RangeSpec {
  const [subnet = "", ...addresses] = text.split(" ");
  const [rangeStart, rangeEnd, gateway] = addresses.map((word) => (word === "-" ? undefined : parseIp(word)));
  return { subnet: parseCidr(subnet), rangeStart, rangeEnd, gateway };
}

/** The sets as `SUBNET START-END GATEWAY`, or the error. */
function plan(...sets: readonly (readonly string[])[]): unknown {
  try {
    return planRangeSets(sets.map((set) => set.map(spec))).map(({ ranges }) =>
      ranges.map((range) => {
        return `${formatCidr(range.subnet)} ${formatIp(range.start)}-${formatIp(range.end)} ${formatIp(range.gateway)}`;
      }),
    );
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    return `${error.code} ${errorText(error)}`;
  }
}

test("planRangeSets() fills in start, end and gateway of both families", () => {
  expect(plan(["192.0.2.0/24"])).toEqual([["192.0.2.0/24 192.0.2.1-192.0.2.254 192.0.2.1"]]);
  expect(plan(["192.0.2.0/30"])).toEqual([["192.0.2.0/30 192.0.2.1-192.0.2.2 192.0.2.1"]]);
  expect(plan(["2001:db8:1::/64"])).toEqual([
    ["2001:db8:1::/64 2001:db8:1::1-2001:db8:1:0:ffff:ffff:ffff:ffff 2001:db8:1::1"],
  ]);
  expect(plan(["2001:db8::/126"])).toEqual([["2001:db8::/126 2001:db8::1-2001:db8::3 2001:db8::1"]]);
});

test("planRangeSets() keeps what is given, and a gateway outside the subnet as well", () => {
  expect(plan(["192.0.2.0/24 192.0.2.40 192.0.2.50 192.0.2.254"])).toEqual([
    ["192.0.2.0/24 192.0.2.40-192.0.2.50 192.0.2.254"],
  ]);
  expect(plan(["192.0.2.0/24 192.0.2.0 192.0.2.255 198.51.100.1"])).toEqual([
    ["192.0.2.0/24 192.0.2.0-192.0.2.255 198.51.100.1"],
  ]);
  expect(plan(["192.0.2.0/24 192.0.2.7 192.0.2.7"])).toEqual([["192.0.2.0/24 192.0.2.7-192.0.2.7 192.0.2.1"]]);
});

const refused: Readonly<Record<string, string>> = {
  "192.0.2.0/31": "Network 192.0.2.0/31 too small to allocate from",
  "192.0.2.0/32": "Network 192.0.2.0/32 too small to allocate from",
  "2001:db8::/127": "Network 2001:db8::/127 too small to allocate from",
  "192.0.2.12/24": "Network has host bits set. For a subnet mask of length 24 the network address is 192.0.2.0",
  "2001:db8::1/64": "Network has host bits set. For a subnet mask of length 64 the network address is 2001:db8::",
  "192.0.2.0/24 192.0.3.0": "RangeStart 192.0.3.0 not in network 192.0.2.0/24",
  "192.0.2.0/24 - 192.0.4.0": "RangeEnd 192.0.4.0 not in network 192.0.2.0/24",
  "192.0.2.0/24 192.0.2.50 192.0.2.40": "RangeStart 192.0.2.50 not in network 192.0.2.0/24",
  "192.0.2.0/24 - 192.0.2.0": "RangeEnd 192.0.2.0 not in network 192.0.2.0/24",
  "192.0.2.0/24 2001:db8::1": "RangeStart 2001:db8::1 not in network 192.0.2.0/24",
  "192.0.2.0/24 - 2001:db8::1": "RangeEnd 2001:db8::1 not in network 192.0.2.0/24",
  // Upstream takes it and never comes to the end of the search.
  "192.0.2.0/24 192.0.2.255": "RangeEnd 192.0.2.254 not in network 192.0.2.0/24",
};

for (const [text, wanted] of Object.entries(refused)) {
  test(`planRangeSets() refuses ${text}`, () => {
    expect(plan([text])).toBe(`7 invalid range set 0: ${wanted}`);
    expect(plan(["198.51.100.0/24"], [text])).toBe(`7 invalid range set 1: ${wanted}`);
  });
}

test("planRangeSets() refuses a set that is empty, of two families, or overlaps itself", () => {
  expect(plan([])).toBe("7 invalid range set 0: empty range set");
  expect(plan(["192.0.2.0/24", "2001:db8::/64"])).toBe("7 invalid range set 0: mixed address families");
  expect(plan(["192.0.2.0/24", "192.0.2.0/25"])).toBe(
    "7 invalid range set 0: subnets 192.0.2.1-192.0.2.254 and 192.0.2.1-192.0.2.126 overlap",
  );
});

/** Ranges of 192.0.2.0/24 by their last bytes, and whether they overlap. */
const pairs: readonly (readonly [number, number, number, number, boolean])[] = [
  [10, 20, 30, 40, false],
  [10, 20, 21, 40, false],
  [10, 20, 20, 40, true],
  [10, 20, 15, 16, true],
  [15, 16, 10, 20, true],
  [10, 20, 10, 20, true],
  [10, 20, 5, 10, true],
  [10, 20, 1, 9, false],
  [10, 10, 10, 10, true],
];

for (const [start, end, otherStart, otherEnd, overlap] of pairs) {
  test(`planRangeSets() finds that ${start}-${end} and ${otherStart}-${otherEnd} do ${overlap ? "" : "not "}overlap`, () => {
    const first = `192.0.2.0/24 192.0.2.${start} 192.0.2.${end}`;
    const second = `192.0.2.0/24 192.0.2.${otherStart} 192.0.2.${otherEnd}`;
    const inOne = plan([first, second]);
    const between = plan([first], ["198.51.100.0/24"], [second]);
    if (overlap) {
      expect(inOne).toBe(
        `7 invalid range set 0: subnets 192.0.2.${start}-192.0.2.${end} and 192.0.2.${otherStart}-192.0.2.${otherEnd} overlap`,
      );
      expect(between).toBe("7 range set 0 overlaps with 2");
    } else {
      expect(inOne).toHaveLength(1);
      expect(between).toHaveLength(3);
    }
  });
}

test("findRange() tells the range of a set that has the address", () => {
  const [set] = planRangeSets([[spec("192.0.2.0/24 192.0.2.40 192.0.2.50"), spec("198.51.100.0/24")]]);
  if (set === undefined) throw new Error("no set");
  const found = ["192.0.2.39", "192.0.2.40", "192.0.2.50", "192.0.2.51", "198.51.100.9", "2001:db8::1"].map((text) => {
    const range = findRange(set, parseIp(text));
    return range === undefined ? "none" : formatCidr(range.subnet);
  });
  expect(found).toEqual(["none", "192.0.2.0/24", "192.0.2.0/24", "none", "198.51.100.0/24", "none"]);
  expect(formatRangeSet(set)).toBe("192.0.2.40-192.0.2.50,198.51.100.1-198.51.100.254");
});

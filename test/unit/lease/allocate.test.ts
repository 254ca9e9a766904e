import { expect, test } from "bun:test";

import { type Cidr, cidrsOverlap, formatCidr, networkOf, parseCidr } from "../../../src/addr/cidr.ts";
import { type ByFamily, parseIp } from "../../../src/addr/ip.ts";
import { chooseOwnLease, chooseSubnets, fitsConfig, freeSubnets } from "../../../src/lease/allocate.ts";
import { parseLeaseKey } from "../../../src/lease/key.ts";
import type { Lease, LeaseRequest } from "../../../src/lease/lease.ts";
import { leaseOf } from "../../../src/lease/lease-json.ts";
import { decodeNetworkConfig } from "../../../src/lease/network-config.ts";

const config = decodeNetworkConfig('{"Network":"10.244.0.0/16"}');
const small = decodeNetworkConfig('{"Network":"10.244.0.0/16","SubnetMin":"10.244.10.0","SubnetMax":"10.244.13.0"}');
const dual = decodeNetworkConfig('{"EnableIPv6":true,"Network":"10.244.0.0/16","IPv6Network":"fd00::/48"}');
const none: ByFamily<Cidr> = { 4: undefined, 6: undefined };

test("freeSubnets() walks from the first to the last subnet", () => {
  expect(free(["10.244.10.0", "10.244.13.0", 24], [])).toBe(
    "10.244.10.0/24 10.244.11.0/24 10.244.12.0/24 10.244.13.0/24",
  );
});

test("freeSubnets() leaves out what overlaps a longer or a shorter one, in any order", () => {
  const used = ["10.244.13.128/25", "10.244.10.0/23", "10.244.10.0/24", "10.244.12.4/30", "10.99.0.0/16"];
  expect(free(["10.244.8.0", "10.244.15.0", 24], used)).toBe(
    "10.244.8.0/24 10.244.9.0/24 10.244.14.0/24 10.244.15.0/24",
  );
});

test("freeSubnets() finds none in a range that one large subnet covers, nor beyond the end", () => {
  expect(free(["10.244.8.0", "10.244.15.0", 24], ["10.0.0.0/8"])).toBe("");
  expect(free(["10.244.8.0", "10.244.7.0", 24], [])).toBe("");
});

test("freeSubnets() reaches the end of the address space", () => {
  expect(free(["255.255.254.0", "255.255.255.0", 24], ["255.255.254.0/24"])).toBe("255.255.255.0/24");
  expect(free(["ffff:ffff:ffff:fffe::", "ffff:ffff:ffff:ffff::", 64], [])).toBe(
    "ffff:ffff:ffff:fffe::/64 ffff:ffff:ffff:ffff::/64",
  );
});

test("freeSubnets() agrees with comparing every subnet with every other", () => {
  let seed = 7;
  for (let round = 0; round < 200; round++) {
    const used = Array.from({ length: next(12) }, () =>
      networkOf(parseCidr(`10.0.${next(16)}.${next(256)}/${21 + next(9)}`)),
    );
    const all = Array.from({ length: 16 }, (_, index) => parseCidr(`10.0.${index}.0/24`));
    const wanted = all.filter((subnet) => !used.some((other) => cidrsOverlap(other, subnet)));
    expect(free(["10.0.0.0", "10.0.15.0", 24], used.map(formatCidr))).toBe(wanted.map(formatCidr).join(" "));
  }

  /** Always the same numbers, so that a failure comes again. */
  function next(count: number): number {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * count);
  }
});

test("chooseSubnets() draws one of the first hundred free subnets", () => {
  const counts: number[] = [];
  const chosen = chooseSubnets(config, none, {
    taken: [parseLeaseKey("10.244.1.0-24"), parseLeaseKey("10.244.3.0-24")],
    draw: (count) => {
      counts.push(count);
      return count - 1;
    },
  });
  expect(counts).toEqual([100]);
  expect(subnetText(chosen)).toBe("10.244.102.0/24");
});

test("chooseSubnets() takes the last one that is free, and says so when there is none", () => {
  const taken = ["10.244.10.0-24", "10.244.12.0-23"].map(parseLeaseKey);
  expect(subnetText(chooseSubnets(small, none, { taken, draw: first }))).toBe("10.244.11.0/24");
  const all = [...taken, parseLeaseKey("10.244.11.128-25")];
  expect(() => chooseSubnets(small, none, { taken: all, draw: first })).toThrow(
    "Cannot choose a subnet from 10.244.10.0 to 10.244.13.0: out of subnets",
  );
});

const previous: readonly (readonly [string, string, readonly string[], string])[] = [
  ["is free", "10.244.12.0/24", ["10.244.10.0-24"], "10.244.12.0/24"],
  ["is taken", "10.244.12.0/24", ["10.244.12.0-24"], "10.244.10.0/24"],
  ["is taken in part", "10.244.12.0/24", ["10.244.12.128-25"], "10.244.10.0/24"],
  ["lies below the range", "10.244.9.0/24", [], "10.244.10.0/24"],
  ["lies above the range", "10.244.14.0/24", [], "10.244.10.0/24"],
  ["has another length", "10.244.12.0/25", [], "10.244.10.0/24"],
];

test.each(previous)("chooseSubnets() with a previous subnet that %s", (_, before, taken, wanted) => {
  const chosen = chooseSubnets(
    small,
    { 4: parseCidr(before), 6: undefined },
    { taken: taken.map(parseLeaseKey), draw: first },
  );
  expect(subnetText(chosen)).toBe(wanted);
});

test("chooseSubnets() chooses the families apart", () => {
  const before = { 4: parseCidr("10.244.7.0/24"), 6: parseCidr("fd00:0:0:7::/64") };
  const taken = [parseLeaseKey("10.244.7.0-24&fd00:0:0:1::-64")];
  expect(subnetText(chooseSubnets(dual, before, { taken, draw: first }))).toBe("10.244.1.0/24 fd00:0:0:7::/64");
  expect(subnetText(chooseSubnets(dual, none, { taken, draw: first }))).toBe("10.244.1.0/24 fd00:0:0:2::/64");
});

test("chooseSubnets() is quick beside 5,000 leases in a row", () => {
  const large = decodeNetworkConfig('{"Network":"10.0.0.0/8"}');
  const taken = Array.from({ length: 5000 }, (_, index) => parseLeaseKey(`10.${index >> 8}.${index & 255}.0-24`));
  const started = performance.now();
  expect(subnetText(chooseSubnets(large, none, { taken, draw: first }))).toBe("10.19.136.0/24");
  expect(performance.now() - started).toBeLessThan(500);
});

const fits: readonly (readonly [string, boolean])[] = [
  ["10.244.10.0-24", true],
  ["10.244.13.0-24", true],
  ["10.244.9.0-24", false],
  ["10.244.14.0-24", false],
  ["10.244.10.0-25", false],
  ["10.244.10.0-24&fd00:0:0:1::-64", false],
];

test.each(fits)("fitsConfig() of %s is %p where subnets go from 10.244.10.0/24 to 10.244.13.0/24", (key, wanted) => {
  expect(fitsConfig(small, parseLeaseKey(key))).toBe(wanted);
});

test("fitsConfig() wants both families where both are on", () => {
  expect(fitsConfig(dual, parseLeaseKey("10.244.1.0-24"))).toBe(false);
  expect(fitsConfig(dual, parseLeaseKey("10.244.1.0-24&fd00:0:0:1::-64"))).toBe(true);
  expect(fitsConfig(dual, parseLeaseKey("10.244.1.0-24&fd00:0:0:1::-80"))).toBe(false);
});

test("chooseOwnLease() keeps the lease with the node's public IP and no other", () => {
  const own = chooseOwnLease(config, [lease("10.244.1.0-24", "1.1.1.1"), lease("10.244.2.0-24", "2.2.2.2")], request());
  expect([own.keep?.key, own.remove]).toEqual(["10.244.2.0-24", []]);
  expect(chooseOwnLease(config, [lease("10.244.1.0-24", "1.1.1.1")], request())).toEqual({
    keep: undefined,
    remove: [],
  });
});

test("chooseOwnLease() removes what does not fit, only when nothing does", () => {
  const outside = lease("10.245.1.0-24", "2.2.2.2");
  const longer = lease("10.244.9.0-25", "2.2.2.2");
  const neither = chooseOwnLease(config, [outside, longer, lease("10.246.1.0-24", "1.1.1.1")], request());
  expect([neither.keep, neither.remove.map(({ key }) => key)]).toEqual([undefined, ["10.244.9.0-25", "10.245.1.0-24"]]);
  const some = chooseOwnLease(config, [outside, lease("10.244.3.0-24", "2.2.2.2")], request());
  expect([some.keep?.key, some.remove]).toEqual(["10.244.3.0-24", []]);
});

test("chooseOwnLease() of several keeps the previous subnet, else the lowest by number", () => {
  const leases = ["10.244.10.0-24", "10.244.9.0-24", "10.244.100.0-24"].map((key) => lease(key, "2.2.2.2"));
  expect(chooseOwnLease(config, leases, request()).keep?.key).toBe("10.244.9.0-24");
  expect(chooseOwnLease(config, leases, request("10.244.100.0/24")).keep?.key).toBe("10.244.100.0-24");
  expect(chooseOwnLease(config, leases, request("10.244.11.0/24")).keep?.key).toBe("10.244.9.0-24");
});

function lease(key: string, publicIp: string): Lease {
  return leaseOf(key, parseLeaseKey(key), request(undefined, publicIp).attributes);
}

function request(before?: string, publicIp = "2.2.2.2"): LeaseRequest {
  return {
    attributes: {
      publicIps: { 4: parseIp(publicIp), 6: undefined },
      backendType: "vxlan",
      backendData: { 4: { VNI: 1 }, 6: undefined },
    },
    previous: { 4: before === undefined ? undefined : parseCidr(before), 6: undefined },
  };
}

function free([min, max, length]: readonly [string, string, number], used: readonly string[]): string {
  const range = { min: parseIp(min), max: parseIp(max), length };
  return freeSubnets(range, used.map(parseCidr), 100).map(formatCidr).join(" ");
}

function subnetText(subnets: ByFamily<Cidr>): string {
  return [subnets[4], subnets[6]]
    .filter((subnet) => subnet !== undefined)
    .map(formatCidr)
    .join(" ");
}

function first(): number {
  return 0;
}

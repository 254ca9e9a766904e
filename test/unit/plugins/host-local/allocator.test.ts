import { expect, test } from "bun:test";

import { formatCidr, parseCidr } from "../../../../src/addr/cidr.ts";
import { formatIp, type IpAddress, parseIp } from "../../../../src/addr/ip.ts";
import {
  type AddressBook,
  allocateNext,
  allocateRequested,
  type Candidate,
} from "../../../../src/plugins/host-local/allocator.ts";
import { planRangeSets, type RangeSet } from "../../../../src/plugins/host-local/range.ts";

/** A set of ranges `SUBNET [START END [GATEWAY]]`. */
function rangeSet(...texts: readonly string[]): RangeSet {
  const specs = texts.map((text) => {
    const [subnet = "", rangeStart, rangeEnd, gateway] = text.split(" ");
    return {
      subnet: parseCidr(subnet),
      rangeStart: rangeStart === undefined ? undefined : parseIp(rangeStart),
      rangeEnd: rangeEnd === undefined ? undefined : parseIp(rangeEnd),
      gateway: gateway === undefined ? undefined : parseIp(gateway),
    };
  });
  const [set] = planRangeSets([specs]);
  if (set === undefined) throw new Error("no set");
  return set;
}

interface Known {
  readonly taken?: readonly string[];
  readonly own?: readonly string[];
  readonly last?: string;
}

function bookOf({ taken = [], own = [], last }: Known): AddressBook {
  return {
    own: own.map(parseIp),
    isTaken: (address) => taken.includes(formatIp(address)),
    lastReserved: (index) => (index === 3 && last !== undefined ? parseIp(last) : undefined),
  };
}

function claimAll(): boolean {
  return true;
}

/** `ADDRESS via GATEWAY`, or the error's message. */
function told(work: () => Candidate): string {
  try {
    const { address, gateway } = work();
    return `${formatCidr(address)} via ${formatIp(gateway)}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.message;
  }
}

function next(set: RangeSet, known: Known): string {
  return told(() => allocateNext({ index: 3, set }, "c1", bookOf(known), claimAll));
}

function requested(set: RangeSet, address: string, known: Known): string {
  return told(() => allocateRequested(set, parseIp(address), bookOf(known), claimAll));
}

const small = rangeSet("10.0.0.0/29");
const two = rangeSet("10.0.0.0/29 10.0.0.3 10.0.0.4", "10.0.1.0/29 10.0.1.1 10.0.1.3 10.0.1.2");

/** What is taken and what was given out last, and what comes then. */
const rounds: readonly (readonly [RangeSet, Known, string])[] = [
  [small, {}, "10.0.0.2/29 via 10.0.0.1"],
  [small, { taken: ["10.0.0.2"] }, "10.0.0.3/29 via 10.0.0.1"],
  [small, { taken: ["10.0.0.2", "10.0.0.4"], last: "10.0.0.2" }, "10.0.0.3/29 via 10.0.0.1"],
  // An address just given back rests until the others have been used.
  [small, { last: "10.0.0.2" }, "10.0.0.3/29 via 10.0.0.1"],
  [small, { taken: ["10.0.0.3", "10.0.0.4", "10.0.0.5"], last: "10.0.0.2" }, "10.0.0.6/29 via 10.0.0.1"],
  // The broadcast address is never given out, and after the end comes the start.
  [small, { taken: ["10.0.0.3"], last: "10.0.0.6" }, "10.0.0.2/29 via 10.0.0.1"],
  [small, { taken: ["10.0.0.2", "10.0.0.5", "10.0.0.6"], last: "10.0.0.4" }, "10.0.0.3/29 via 10.0.0.1"],
  // What was given out last comes last, when all others are taken.
  [small, { taken: ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.6"], last: "10.0.0.5" }, "10.0.0.5/29 via 10.0.0.1"],
  // It may even be the gateway, or outside when the ranges have changed.
  [small, { last: "10.0.0.1" }, "10.0.0.2/29 via 10.0.0.1"],
  [small, { last: "10.9.9.9" }, "10.0.0.2/29 via 10.0.0.1"],
  [small, { last: "fd00::9" }, "10.0.0.2/29 via 10.0.0.1"],
  [rangeSet("10.0.0.0/29 10.0.0.4 10.0.0.5"), { last: "10.0.0.2" }, "10.0.0.4/29 via 10.0.0.1"],
  [two, {}, "10.0.0.3/29 via 10.0.0.1"],
  [two, { last: "10.0.0.4" }, "10.0.1.1/29 via 10.0.1.2"],
  [two, { last: "10.0.1.1" }, "10.0.1.3/29 via 10.0.1.2"],
  [two, { last: "10.0.1.3" }, "10.0.0.3/29 via 10.0.0.1"],
  [two, { taken: ["10.0.0.3", "10.0.0.4", "10.0.1.1"] }, "10.0.1.3/29 via 10.0.1.2"],
  [rangeSet("fd00::/64"), {}, "fd00::2/64 via fd00::1"],
  [rangeSet("fd00::/64"), { last: "fd00::ff" }, "fd00::100/64 via fd00::1"],
  [rangeSet("fd00::/64"), { last: "fd00::ffff:ffff:ffff:ffff" }, "fd00::2/64 via fd00::1"],
  [rangeSet("10.0.0.0/29 10.0.0.2 10.0.0.2"), {}, "10.0.0.2/29 via 10.0.0.1"],
];

for (const [set, known, wanted] of rounds) {
  test(`allocateNext() gives out ${wanted} when ${JSON.stringify(known)}`, () => {
    expect(next(set, known)).toBe(wanted);
  });
}

test("allocateNext() says that none is free, wherever the search began", () => {
  const taken = ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"];
  const wanted = "no IP addresses available in range set: 10.0.0.1-10.0.0.6";
  expect(next(small, { taken })).toBe(wanted);
  for (const last of [...taken, "10.0.0.1"]) expect(next(small, { taken, last })).toBe(wanted);
  expect(next(two, { taken: ["10.0.0.3", "10.0.0.4", "10.0.1.1", "10.0.1.3"], last: "10.0.1.1" })).toBe(
    "no IP addresses available in range set: 10.0.0.3-10.0.0.4,10.0.1.1-10.0.1.3",
  );
  expect(next(rangeSet("10.0.0.0/29 10.0.0.1 10.0.0.1"), {})).toBe(
    "no IP addresses available in range set: 10.0.0.1-10.0.0.1",
  );
});

test("allocateNext() refuses a second address of one set, and gives one of another set", () => {
  const wanted = "10.0.0.5 has been allocated to c1, duplicate allocation is not allowed";
  expect(next(small, { own: ["10.0.0.5"], taken: ["10.0.0.5"] })).toBe(wanted);
  expect(next(small, { own: ["10.0.1.5", "fd00::2"] })).toBe("10.0.0.2/29 via 10.0.0.1");
});

test("allocateNext() goes on when another was quicker", () => {
  const tried: string[] = [];
  function claimThird(address: IpAddress): boolean {
    tried.push(formatIp(address));
    return tried.length === 3;
  }
  const got = told(() => allocateNext({ index: 3, set: small }, "c1", bookOf({ last: "10.0.0.5" }), claimThird));
  expect(got).toBe("10.0.0.3/29 via 10.0.0.1");
  expect(tried).toEqual(["10.0.0.6", "10.0.0.2", "10.0.0.3"]);
});

test("allocateRequested() gives out what is free, also to who has one already", () => {
  expect(requested(small, "10.0.0.5", {})).toBe("10.0.0.5/29 via 10.0.0.1");
  expect(requested(two, "10.0.1.3", { own: ["10.0.0.3"], taken: ["10.0.0.3"] })).toBe("10.0.1.3/29 via 10.0.1.2");
});

test("allocateRequested() says why it does not", () => {
  expect(requested(small, "10.0.0.1", {})).toBe("requested ip 10.0.0.1 is subnet's gateway");
  expect(requested(small, "10.0.0.5", { taken: ["10.0.0.5"] })).toBe(
    "requested IP address 10.0.0.5 is not available in range set 10.0.0.1-10.0.0.6",
  );
  for (const outside of ["10.0.0.0", "10.0.0.7"]) {
    expect(requested(small, outside, {})).toBe(`${outside} not in range set 10.0.0.1-10.0.0.6`);
  }
  expect(told(() => allocateRequested(small, parseIp("10.0.0.5"), bookOf({}), () => false))).toBe(
    "requested IP address 10.0.0.5 is not available in range set 10.0.0.1-10.0.0.6",
  );
});

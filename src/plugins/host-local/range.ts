/** Address ranges of host-local and the rules they must keep (plugins v1.9.1, host-local/backend/allocator). Pure. */
import { type Cidr, cidrContains, firstHost, formatCidr, isNetwork, lastAddress, networkOf } from "../../addr/cidr.ts";
import { compareIp, type Family, familyBits, formatIp, ipAdd, type IpAddress } from "../../addr/ip.ts";
import { CniError, cniCode } from "../../cni/error.ts";

/** A range as a configuration has it. */
export interface RangeSpec {
  readonly subnet: Cidr;
  readonly rangeStart: IpAddress | undefined;
  readonly rangeEnd: IpAddress | undefined;
  readonly gateway: IpAddress | undefined;
}

/** Addresses of one subnet from `start` to `end`, both included, but for the gateway. */
export interface Range {
  readonly subnet: Cidr;
  readonly start: IpAddress;
  readonly end: IpAddress;
  readonly gateway: IpAddress;
}

/** Ranges of one family of which an attachment gets one address; never empty. */
export interface RangeSet {
  readonly family: Family;
  readonly ranges: readonly Range[];
}

/** Fills in the defaults of all ranges and checks them. Throws a CniError, code 7, with the reference's text. */
export function planRangeSets(specs: readonly (readonly RangeSpec[])[]): readonly RangeSet[] {
  const sets = specs.map((set, index) => {
    try {
      return planRangeSet(set);
    } catch (error) {
      throw new CniError(cniCode.invalidConfig, `invalid range set ${index}`, undefined, { cause: error });
    }
  });
  const [set, other] = findPair(sets, setsOverlap) ?? [];
  if (set !== undefined && other !== undefined) {
    const message = `range set ${sets.indexOf(set)} overlaps with ${sets.indexOf(other)}`;
    throw new CniError(cniCode.invalidConfig, message);
  }
  return sets;
}

/** The range of the set in which the address lies. */
export function findRange(set: RangeSet, address: IpAddress): Range | undefined {
  for (const range of set.ranges) if (rangeContains(range, address)) return range;
  return undefined;
}

/** The set as the reference writes it in its errors: `10.0.0.1-10.0.0.9,10.0.1.1-10.0.1.9`. */
export function formatRangeSet(set: RangeSet): string {
  return set.ranges.map(formatRange).join(",");
}

function planRangeSet(specs: readonly RangeSpec[]): RangeSet {
  const ranges = specs.map(planRange);
  const [first] = ranges;
  if (first === undefined) throw new Error("empty range set");
  const family = first.subnet.family;
  for (const range of ranges) if (range.subnet.family !== family) throw new Error("mixed address families");
  const [range, other] = findPair(ranges, rangesOverlap) ?? [];
  if (range !== undefined && other !== undefined) {
    throw new Error(`subnets ${formatRange(range)} and ${formatRange(other)} overlap`);
  }
  return { family, ranges };
}

function planRange({ subnet, rangeStart, rangeEnd, gateway }: RangeSpec): Range {
  const text = formatCidr(subnet);
  if (subnet.prefixLength > familyBits(subnet.family) - 2) {
    throw new Error(`Network ${text} too small to allocate from`);
  }
  if (!isNetwork(subnet)) {
    const network = formatIp(networkOf(subnet).address);
    throw new Error(
      `Network has host bits set. For a subnet mask of length ${subnet.prefixLength} the network address is ${network}`,
    );
  }
  if (rangeStart !== undefined && (!cidrContains(subnet, rangeStart) || isAfter(rangeStart, rangeEnd))) {
    throw new Error(`RangeStart ${formatIp(rangeStart)} not in network ${text}`);
  }
  if (rangeEnd !== undefined && !cidrContains(subnet, rangeEnd)) {
    throw new Error(`RangeEnd ${formatIp(rangeEnd)} not in network ${text}`);
  }
  const first = firstHost(subnet);
  const range = { subnet, start: rangeStart ?? first, end: rangeEnd ?? lastHost(subnet), gateway: gateway ?? first };
  if (isAfter(range.start, range.end)) {
    throw new Error(`RangeEnd ${formatIp(range.end)} not in network ${text}`);
  }
  return range;
}

/** IPv4's last address is the broadcast address; IPv6 has none. */
function lastHost(subnet: Cidr): IpAddress {
  return subnet.family === 4 ? ipAdd(lastAddress(subnet), -1) : lastAddress(subnet);
}

function isAfter(address: IpAddress, end: IpAddress | undefined): boolean {
  return end !== undefined && compareIp(address, end) > 0;
}

function rangeContains(range: Range, address: IpAddress): boolean {
  const { family } = range.subnet;
  return family === address.family && compareIp(address, range.start) >= 0 && compareIp(address, range.end) <= 0;
}

/** The first two of a list, in its order, that cannot stand together. */
function findPair<T>(items: readonly T[], clash: (left: T, right: T) => boolean): readonly [T, T] | undefined {
  let index = 0;
  for (const left of items) {
    index++;
    for (const right of items.slice(index)) if (clash(left, right)) return [left, right];
  }
  return undefined;
}

function setsOverlap(left: RangeSet, right: RangeSet): boolean {
  for (const range of left.ranges) {
    for (const other of right.ranges) if (rangesOverlap(range, other)) return true;
  }
  return false;
}

function rangesOverlap(left: Range, right: Range): boolean {
  return rangeContains(left, right.start) || rangeContains(right, left.start);
}

function formatRange(range: Range): string {
  return `${formatIp(range.start)}-${formatIp(range.end)}`;
}

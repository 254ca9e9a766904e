import { type Cidr, cidrOf } from "../../addr/cidr.ts";
import { findIp, formatIp, ipEquals, type IpAddress } from "../../addr/ip.ts";
import type { CniNetworkRequest } from "../../cni/plugin.ts";
import { exhaustionError, notAvailableUnless } from "../../cni/status.ts";
import { listDirectory } from "../../sys/directory.ts";
import { readText } from "../../sys/file.ts";
import { decodeHostLocalConfig, type HostLocalConfig } from "./config.ts";
import { checkWritable } from "../../sys/writable.ts";
import { findRange, formatRangeSet, type Range, type RangeSet } from "./range.ts";
import { findStore } from "./store.ts";

/**
 * STATUS: throws a CniError, code 50, for a configuration that ADD would refuse, a directory that cannot be written to, a
 * resolv.conf that is not there, and a range set of which every address is taken.
 */
export function checkAvailability(request: CniNetworkRequest): void {
  const config = notAvailableUnless(() => {
    const decoded = decodeHostLocalConfig(request);
    checkWritable(decoded.directory);
    if (decoded.resolvConf !== "") readText(decoded.resolvConf);
    return decoded;
  });
  const full = notAvailableUnless(() => findFullSet(config));
  if (full !== undefined) throw exhaustionError(formatRangeSet(full));
}

/** The gateways of each set's ranges, from any of which its address may come, with the prefix lengths of the subnets. */
export function listGateways(request: CniNetworkRequest): readonly (readonly Cidr[])[] {
  const { rangeSets } = decodeHostLocalConfig(request);
  return rangeSets.map(({ ranges }) => ranges.map(({ gateway, subnet }) => cidrOf(gateway, subnet.prefixLength)));
}

/**
 * A look at the names says nearly always that there is room. Only where there seems to be none the store is opened, which
 * waits for its lock, drops what an earlier boot left, and tells files that name nobody.
 */
function findFullSet({ directory, rangeSets }: HostLocalConfig): RangeSet | undefined {
  const names = listAddresses(directory);
  const suspects = rangeSets.filter((set) => isFull(set, names));
  if (suspects.length === 0) return undefined;
  using store = findStore(directory, { containerId: "", interfaceName: "" });
  const taken = listAddresses(directory).filter((address) => store?.isTaken(address) === true);
  return suspects.find((set) => isFull(set, taken));
}

function listAddresses(directory: string): readonly IpAddress[] {
  return (listDirectory(directory) ?? []).flatMap((name) => {
    const address = findIp(name);
    // Another spelling of an address is no name that host-local gives.
    return address === undefined || formatIp(address) !== name ? [] : [address];
  });
}

function isFull(set: RangeSet, taken: readonly IpAddress[]): boolean {
  let free = 0;
  for (const range of set.ranges) free += sizeOf(range);
  return free <= taken.filter((address) => findGivenOut(set, address) !== undefined).length;
}

/** The range that gives out the address; the gateway of a range is never given out. */
function findGivenOut(set: RangeSet, address: IpAddress): Range | undefined {
  const range = findRange(set, address);
  return range === undefined || ipEquals(address, range.gateway) ? undefined : range;
}

/** How many addresses a range gives out. Beyond 2^53 it is not exact, but no directory holds so many files. */
function sizeOf(range: Range): number {
  let size = 0;
  for (const [index, byte] of range.end.bytes.entries()) size = size * 256 + byte - (range.start.bytes[index] ?? 0);
  const hasGateway = findRange({ family: range.subnet.family, ranges: [range] }, range.gateway) !== undefined;
  return size + 1 - (hasGateway ? 1 : 0);
}

import { formatIp, ipEquals, type IpAddress } from "../../addr/ip.ts";
import type { CniRequest } from "../../cni/plugin.ts";
import { decodeForCheck } from "./config.ts";
import { findRange, type RangeSet } from "./range.ts";
import { findStore } from "./store.ts";

/**
 * CHECK: the attachment has an address at least, and every address of the previous result that lies in the ranges is its
 * own. Throws an Error for what is missing, with the reference's text.
 */
export function checkAddresses(request: CniRequest): void {
  const config = decodeForCheck(request);
  const { prevResult } = request.config;
  using store = findStore(config.directory, request);
  const own = store?.own ?? [];
  if (own.length === 0) throw missing("address", request);
  for (const { address } of prevResult?.ips ?? []) {
    const wanted = address.address;
    if (isOfRanges(config.rangeSets, wanted) && !own.some((other) => ipEquals(other, wanted))) {
      throw missing(`address ${formatIp(wanted)}`, request);
    }
  }
}

function isOfRanges(sets: readonly RangeSet[], address: IpAddress): boolean {
  return sets.some((set) => findRange(set, address) !== undefined);
}

function missing(what: string, request: CniRequest): Error {
  return new Error(`host-local: Failed to find ${what} added by container ${request.containerId}`);
}

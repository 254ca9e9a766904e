import { formatIp, type IpAddress } from "../../addr/ip.ts";
import { Undo } from "../../base/undo.ts";
import { toCniError } from "../../cni/error.ts";
import { type CniPlugin, type CniRequest, type CniUpkeep, withUpkeep } from "../../cni/plugin.ts";
import type { CniIp, CniResult } from "../../cni/result.ts";
import { isAtLeast } from "../../cni/version.ts";
import { readText } from "../../sys/file.ts";
import { allocateNext, allocateRequested, type NumberedSet } from "./allocator.ts";
import {
  decodeDirectory,
  decodeForCheck,
  decodeHostLocalConfig,
  decodeRequestedAddresses,
  directoryIn,
} from "./config.ts";
import { findRange, type RangeSet } from "./range.ts";
import { parseResolvConf } from "./resolv-conf.ts";
import { type AddressStore, findStore, openStore } from "./store.ts";

/** The host-local plugin: gives out the addresses of ranges that belong to this node. */
export function createHostLocal(upkeep: () => CniUpkeep): CniPlugin {
  return withUpkeep({ name: "host-local", about: "CNI host-local plugin of tartan", add, del }, upkeep);
}

/** One address of each range set. A failure gives back what was reserved; that the search went on is not taken back. */
function add(request: CniRequest): CniResult {
  const config = decodeHostLocalConfig(request);
  const requested = [...decodeRequestedAddresses(request)];
  const dns = config.resolvConf === "" ? undefined : parseResolvConf(readText(config.resolvConf));
  using store = openStore(config.directory, request);
  using undo = new Undo();
  const ips = config.rangeSets.map((set, index) => {
    try {
      const wanted = takeFirstOf(set, requested);
      return reserve(store, undo, request.containerId, { index, set, wanted });
    } catch (error) {
      throw new Error(`failed to allocate for range ${index}`, { cause: error });
    }
  });
  if (requested.length > 0) {
    throw new Error(`failed to allocate all requested IPs: ${requested.map(formatIp).join(" ")}`);
  }
  undo.keep();
  return { interfaces: [], ips, routes: config.routes, dns };
}

/** Removes the first address that lies in the set from the list, and returns it. */
function takeFirstOf(set: RangeSet, requested: IpAddress[]): IpAddress | undefined {
  for (const address of requested) {
    if (findRange(set, address) === undefined) continue;
    requested.splice(requested.indexOf(address), 1);
    return address;
  }
  return undefined;
}

/**
 * Frees by owner, so that neither the ranges nor the addresses asked for then have to be known. A directory that cannot be
 * read any more counts as absent as long as the usual one has something to free; else it is an error, since ADD may have
 * used any. With CNI 0.2.0 and older more than one address of a family is refused here too, as the reference does.
 */
function del(request: CniRequest): void {
  const { directory, failure } = findDirectory(request);
  using store = findStore(directory, request);
  if (failure !== undefined && (store === undefined || store.own.length === 0)) throw failure;
  store?.releaseOwn();
  if (!isAtLeast(request.config.cniVersion, "0.3.0")) decodeForCheck(request);
}

function findDirectory(request: CniRequest): { readonly directory: string; readonly failure: Error | undefined } {
  try {
    return { directory: decodeDirectory(request), failure: undefined };
  } catch (error) {
    return { directory: directoryIn("", request), failure: toCniError(error) };
  }
}

interface Wish extends NumberedSet {
  readonly wanted: IpAddress | undefined;
}

function reserve(store: AddressStore, undo: Undo, containerId: string, wish: Wish): CniIp {
  function claim(address: IpAddress): boolean {
    if (!store.claim(address)) return false;
    undo.defer(() => store.release(address));
    store.setLastReserved(wish.index, address);
    return true;
  }
  const { address, gateway } =
    wish.wanted === undefined
      ? allocateNext(wish, containerId, store, claim)
      : allocateRequested(wish.set, wish.wanted, store, claim);
  return { address, gateway, interfaceIndex: undefined };
}

/** Which address an attachment gets (plugins v1.9.1, host-local/backend/allocator). Pure over a book of what is taken. */
import { type Cidr, cidrOf } from "../../addr/cidr.ts";
import { formatIp, ipAdd, ipEquals, type IpAddress } from "../../addr/ip.ts";
import { findRange, formatRangeSet, type Range, type RangeSet } from "./range.ts";

/** What is known of a network's addresses while nobody else changes it. */
export interface AddressBook {
  /** True when the address belongs to an attachment. */
  isTaken(address: IpAddress): boolean;
  /** The addresses of this attachment. */
  readonly own: readonly IpAddress[];
  /** The address that this set gave out last. */
  lastReserved(setIndex: number): IpAddress | undefined;
}

/** An address that is free, with its gateway. */
export interface Candidate {
  readonly address: Cidr;
  readonly gateway: IpAddress;
}

/** Takes a candidate for the attachment; false when another was quicker. */
export type Claim = (address: IpAddress) => boolean;

/** One set with its place in the configuration. */
export interface NumberedSet {
  readonly index: number;
  readonly set: RangeSet;
}

/**
 * Gives out the address asked for. Throws an Error when it is none of the set's, the gateway or taken; the caller asks
 * only for what lies in the set.
 */
export function allocateRequested(set: RangeSet, requested: IpAddress, book: AddressBook, claim: Claim): Candidate {
  const range = findRange(set, requested);
  const text = formatIp(requested);
  if (range === undefined) throw new Error(`${text} not in range set ${formatRangeSet(set)}`);
  if (ipEquals(requested, range.gateway)) throw new Error(`requested ip ${text} is subnet's gateway`);
  if (book.isTaken(requested) || !claim(requested)) {
    throw new Error(`requested IP address ${text} is not available in range set ${formatRangeSet(set)}`);
  }
  return candidateOf(range, requested);
}

/**
 * Gives out the free address that follows the one given out last, round and round, so that an address rests as long as
 * possible before it is used again. Throws an Error when none is free, or when the attachment has one of the set already.
 */
export function allocateNext(
  { index, set }: NumberedSet,
  containerId: string,
  book: AddressBook,
  claim: Claim,
): Candidate {
  for (const own of book.own) {
    if (findRange(set, own) === undefined) continue;
    throw new Error(`${formatIp(own)} has been allocated to ${containerId}, duplicate allocation is not allowed`);
  }
  const start = startOf(set, book.lastReserved(index));
  let place = start;
  do {
    const range = rangeAt(set, place.rangeIndex);
    const { address } = place;
    if (!ipEquals(address, range.gateway) && !book.isTaken(address) && claim(address)) {
      return candidateOf(range, address);
    }
    place = placeAfter(set, place);
  } while (!ipEquals(place.address, start.address));
  throw new Error(`no IP addresses available in range set: ${formatRangeSet(set)}`);
}

/** Where the search stands. Ranges of a set do not overlap, so that the address alone tells a place from another. */
interface Place {
  readonly rangeIndex: number;
  readonly address: IpAddress;
}

function startOf(set: RangeSet, last: IpAddress | undefined): Place {
  const range = last === undefined ? undefined : findRange(set, last);
  if (last === undefined || range === undefined) return { rangeIndex: 0, address: rangeAt(set, 0).start };
  return placeAfter(set, { rangeIndex: set.ranges.indexOf(range), address: last });
}

function placeAfter(set: RangeSet, place: Place): Place {
  const range = rangeAt(set, place.rangeIndex);
  if (!ipEquals(place.address, range.end)) return { ...place, address: ipAdd(place.address, 1) };
  const rangeIndex = (place.rangeIndex + 1) % set.ranges.length;
  return { rangeIndex, address: rangeAt(set, rangeIndex).start };
}

function rangeAt(set: RangeSet, index: number): Range {
  const range = set.ranges[index];
  if (range === undefined) throw new RangeError(`Cannot find range ${index}: the set has ${set.ranges.length}`);
  return range;
}

function candidateOf(range: Range, address: IpAddress): Candidate {
  return { address: cidrOf(address, range.subnet.prefixLength), gateway: range.gateway };
}

/** Which subnet a node gets, by the rules of upstream's pkg/subnet/etcd/local_manager.go; pure. */
import { type Cidr, cidrEquals, cidrOf, cidrsOverlap, isNetwork, lastAddress } from "../addr/cidr.ts";
import { ipFromInteger, ipToInteger } from "../addr/integer.ts";
import { type ByFamily, compareIp, families, type Family, familyBits, formatIp, ipEquals } from "../addr/ip.ts";
import type { Lease, LeaseRequest } from "./lease.ts";
import type { NetworkConfig, SubnetRange } from "./network-config.ts";

/** Among how many free subnets one is drawn, so that nodes which start at once rarely draw the same. */
const candidateCount = 100;

/** Draws a whole number from 0 to below `count`. */
export type Draw = (count: number) => number;

/** A node's leases in a source: the one to keep, and those to remove. */
export interface OwnLeases {
  readonly keep: Lease | undefined;
  readonly remove: readonly Lease[];
}

/**
 * Finds the leases that have the node's public IP. The one to keep is one that fits the configuration: where several
 * do, the previous subnet, which pods may be using, else the one with the lowest subnet. The others that fit stay as
 * they are, since a lease stays until somebody removes it. Only when none fits, all are to be removed.
 */
export function chooseOwnLease(config: NetworkConfig, leases: Iterable<Lease>, request: LeaseRequest): OwnLeases {
  const own = [...leases].filter((lease) => hasSamePublicIp(config, lease, request)).toSorted(compareLeases);
  const fitting = own.filter((lease) => fitsConfig(config, lease.subnets));
  const keep = fitting.find((lease) => isPrevious(lease, request.previous)) ?? fitting[0];
  return keep === undefined ? { keep, remove: own } : { keep, remove: [] };
}

/** True when the subnets are of the families, range and length that the configuration wants. */
export function fitsConfig(config: NetworkConfig, subnets: ByFamily<Cidr>): boolean {
  return families.every((family) => {
    const range = config.subnets[family];
    const subnet = subnets[family];
    if (range === undefined || subnet === undefined) return range === undefined && subnet === undefined;
    return fitsRange(range, subnet);
  });
}

/**
 * Chooses subnets for a node that has none: for each family its previous one if that is free, else one of the first
 * hundred free ones, drawn. Throws an Error when a family is out of subnets.
 */
export function chooseSubnets(
  config: NetworkConfig,
  previous: ByFamily<Cidr>,
  { taken, draw }: { readonly taken: readonly ByFamily<Cidr>[]; readonly draw: Draw },
): ByFamily<Cidr> {
  return { 4: choose(4), 6: choose(6) };

  function choose(family: Family): Cidr | undefined {
    const range = config.subnets[family];
    if (range === undefined) return undefined;
    const used = taken.map((subnets) => subnets[family]).filter((subnet) => subnet !== undefined);
    const before = previous[family];
    if (before !== undefined && fitsRange(range, before) && !used.some((subnet) => cidrsOverlap(subnet, before))) {
      return before;
    }
    const free = freeSubnets(range, used, candidateCount);
    const chosen = free[draw(free.length)];
    if (chosen === undefined) {
      throw new Error(`Cannot choose a subnet from ${formatIp(range.min)} to ${formatIp(range.max)}: out of subnets`);
    }
    return chosen;
  }
}

/** The first `limit` subnets of a range that overlap none of those in use. */
export function freeSubnets(range: SubnetRange, used: readonly Cidr[], limit: number): readonly Cidr[] {
  const { family } = range.min;
  const size = 1n << BigInt(familyBits(family) - range.length);
  const last = ipToInteger(range.max);
  const blocks = used.map(blockOf).toSorted(compareBlocks);
  const free: Cidr[] = [];
  let start = ipToInteger(range.min);
  let index = 0;
  while (start <= last && free.length < limit) {
    const block = blocks[index];
    if (block !== undefined && block.last < start) {
      index++;
    } else if (block !== undefined && block.first < start + size) {
      // Both sizes are powers of two and both starts multiples of them: this is the first subnet behind the block.
      const behind = block.last + 1n;
      start = behind > start + size ? behind : start + size;
    } else {
      free.push(cidrOf(ipFromInteger(family, start), range.length));
      start += size;
    }
  }
  return free;
}

interface Block {
  readonly first: bigint;
  readonly last: bigint;
}

function blockOf(cidr: Cidr): Block {
  return { first: ipToInteger(cidr.address), last: ipToInteger(lastAddress(cidr)) };
}

function compareBlocks(left: Block, right: Block): number {
  if (left.first !== right.first) return left.first < right.first ? -1 : 1;
  return 0;
}

function fitsRange(range: SubnetRange, subnet: Cidr): boolean {
  return (
    subnet.prefixLength === range.length &&
    isNetwork(subnet) &&
    compareIp(subnet.address, range.min) >= 0 &&
    compareIp(subnet.address, range.max) <= 0
  );
}

/** A node is known by its IPv4 address, as upstream has it, and by its IPv6 address only where IPv4 is off. */
function hasSamePublicIp(config: NetworkConfig, lease: Lease, { attributes }: LeaseRequest): boolean {
  const family = config.networks[4] === undefined ? 6 : 4;
  const wanted = attributes.publicIps[family];
  const found = lease.publicIps[family];
  return wanted !== undefined && found !== undefined && ipEquals(wanted, found);
}

function isPrevious(lease: Lease, previous: ByFamily<Cidr>): boolean {
  return families.some((family) => {
    const subnet = lease.subnets[family];
    const before = previous[family];
    return subnet !== undefined && before !== undefined && cidrEquals(subnet, before);
  });
}

function compareLeases(left: Lease, right: Lease): number {
  for (const family of families) {
    const [one, other] = [left.subnets[family], right.subnets[family]];
    if (one === undefined || other === undefined) continue;
    const order = compareIp(one.address, other.address) || one.prefixLength - other.prefixLength;
    if (order !== 0) return order;
  }
  return 0;
}

import { type Cidr, findCidr, formatCidr, isNetwork } from "../addr/cidr.ts";
import type { ByFamily, Family } from "../addr/ip.ts";

/**
 * Reads the subnets from a lease's key: `10.244.1.0-24` or `10.244.1.0-24&fd00:0:0:1::-64`. Undefined unless it is
 * exactly what formatLeaseKey makes, so that a subnet has one key only. Prefix lengths of a single address do not exist
 * (upstream's subnet.go reads them as numbers of five and seven bits), nor do keys without IPv4.
 */
export function findLeaseKey(key: string): ByFamily<Cidr> | undefined {
  const [first = "", second, ...rest] = key.split("&");
  const ipv4 = findPart(first, 4);
  const ipv6 = second === undefined ? undefined : findPart(second, 6);
  if (ipv4 === undefined || rest.length > 0 || (second !== undefined && ipv6 === undefined)) return undefined;
  return { 4: ipv4, 6: ipv6 };
}

/** Like findLeaseKey, but throws an Error that quotes the key. */
export function parseLeaseKey(key: string): ByFamily<Cidr> {
  const subnets = findLeaseKey(key);
  if (subnets === undefined) {
    throw new Error(`Cannot read lease key "${key}": it must be like "10.244.1.0-24" or "10.244.1.0-24&fd00::-64"`);
  }
  return subnets;
}

/** The key of a lease of these subnets. Throws an Error without an IPv4 subnet: flannel's keys begin with it. */
export function formatLeaseKey(subnets: ByFamily<Cidr>): string {
  if (subnets[4] === undefined) throw new Error("Cannot make a lease key: there is no IPv4 subnet");
  const ipv4 = formatPart(subnets[4]);
  return subnets[6] === undefined ? ipv4 : `${ipv4}&${formatPart(subnets[6])}`;
}

function findPart(text: string, family: Family): Cidr | undefined {
  const cidr = findCidr(text.replace("-", "/"));
  if (cidr?.family !== family || !isNetwork(cidr) || formatPart(cidr) !== text) return undefined;
  return cidr.prefixLength < (family === 4 ? 32 : 128) ? cidr : undefined;
}

function formatPart(cidr: Cidr): string {
  return formatCidr(cidr).replace("/", "-");
}

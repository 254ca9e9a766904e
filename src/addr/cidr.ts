import { compareIp, type Family, familyBits, findDecimal, findIp, formatIp, ipAdd, type IpAddress } from "./ip.ts";

/** An address with a prefix length; the host bits may be set, as in an interface address. */
export interface Cidr {
  readonly family: Family;
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/** Parses `10.244.1.1/24` or `fd00::1/64` and keeps the host bits. */
export function findCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const address = findIp(text.slice(0, slash));
  const length = findDecimal(text.slice(slash + 1), 128);
  if (address === undefined || length === undefined) return undefined;
  // A mapped address becomes IPv4 (findIp) and its length counts from the IPv4 part, as in Go's net.ParseCIDR.
  const mapped = address.family === 4 && text.includes(":");
  const prefixLength = length - (mapped ? 96 : 0);
  if (prefixLength < 0 || prefixLength > familyBits(address.family)) return undefined;
  return { family: address.family, address, prefixLength };
}

/** Like findCidr, but throws an Error that quotes the text. */
export function parseCidr(text: string): Cidr {
  const cidr = findCidr(text);
  if (cidr === undefined) throw new Error(`Cannot parse CIDR "${text}": it must be ADDRESS/PREFIX-LENGTH`);
  return cidr;
}

/** Makes a CIDR of an address. Throws a RangeError for a prefix length the family does not have. */
export function cidrOf(address: IpAddress, prefixLength: number = familyBits(address.family)): Cidr {
  if (prefixLength < 0 || prefixLength > familyBits(address.family)) {
    throw new RangeError(`Cannot make a CIDR of ${formatIp(address)}: prefix length ${prefixLength} is out of range`);
  }
  return { family: address.family, address, prefixLength };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.address)}/${cidr.prefixLength}`;
}

/** The same prefix with all host bits zero. */
export function networkOf(cidr: Cidr): Cidr {
  return { ...cidr, address: { family: cidr.family, bytes: masked(cidr.address.bytes, cidr.prefixLength) } };
}

/** The last address of the prefix: for IPv4 its broadcast address. */
export function lastAddress(cidr: Cidr): IpAddress {
  const bytes = masked(cidr.address.bytes, cidr.prefixLength);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = (bytes[index] ?? 0) | (~maskByte(cidr.prefixLength, index) & 0xff);
  }
  return { family: cidr.family, bytes };
}

/** True when the address lies in the prefix. */
export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (cidr.family !== address.family) return false;
  for (let index = 0; index * 8 < cidr.prefixLength; index++) {
    const different = (address.bytes[index] ?? 0) ^ (cidr.address.bytes[index] ?? 0);
    if ((different & maskByte(cidr.prefixLength, index)) !== 0) return false;
  }
  return true;
}

/** True when one of the prefixes lies in the other. */
export function cidrsOverlap(left: Cidr, right: Cidr): boolean {
  return left.prefixLength <= right.prefixLength
    ? cidrContains(left, right.address)
    : cidrContains(right, left.address);
}

/** True when address and prefix length are the same. */
export function cidrEquals(left: Cidr, right: Cidr): boolean {
  return left.prefixLength === right.prefixLength && compareIp(left.address, right.address) === 0;
}

/** True when no host bit is set. */
export function isNetwork(cidr: Cidr): boolean {
  return cidrEquals(cidr, networkOf(cidr));
}

/** The prefix of the same length that follows; it wraps at the end of the family's space. */
export function nextCidr(cidr: Cidr): Cidr {
  return { ...cidr, address: ipAdd(lastAddress(cidr), 1) };
}

/** The first address after the network's own: `10.244.1.0/24` gives 10.244.1.1, flannel's and host-local's gateway. */
export function firstHost(cidr: Cidr): IpAddress {
  return ipAdd(networkOf(cidr).address, 1);
}

function masked(bytes: Uint8Array, prefixLength: number): Uint8Array {
  const copy = bytes.slice();
  for (let index = 0; index < copy.length; index++) copy[index] = (copy[index] ?? 0) & maskByte(prefixLength, index);
  return copy;
}

function maskByte(prefixLength: number, index: number): number {
  const bits = Math.min(Math.max(prefixLength - index * 8, 0), 8);
  return (0xff << (8 - bits)) & 0xff;
}

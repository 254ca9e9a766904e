import { bytesEqual } from "../base/bytes.ts";

/** The version of the Internet protocol an address belongs to. */
export type Family = 4 | 6;

/** Both families, in the order in which flannel lists them. */
export const families: readonly Family[] = [4, 6];

/** One thing for each family; the families are chosen, leased and reported apart. */
export interface ByFamily<T> {
  readonly 4: T | undefined;
  readonly 6: T | undefined;
}

/** An IP address: 4 or 16 bytes in network order. */
export interface IpAddress {
  readonly family: Family;
  readonly bytes: Uint8Array;
}

/**
 * Parses the text form as Go's net.ParseIP does: four decimal octets without leading zeros, or RFC 4291 with an
 * optional trailing dotted quad; an IPv4-mapped IPv6 address is the IPv4 address; no zone, no white space.
 */
export function findIp(text: string): IpAddress | undefined {
  if (!text.includes(":")) {
    const bytes = parseQuad(text);
    return bytes === undefined ? undefined : { family: 4, bytes };
  }
  const bytes = parseGroups(text);
  if (bytes === undefined) return undefined;
  return isMapped(bytes) ? { family: 4, bytes: bytes.slice(12) } : { family: 6, bytes };
}

/** Like findIp, but throws an Error that quotes the text. */
export function parseIp(text: string): IpAddress {
  const address = findIp(text);
  if (address === undefined) throw new Error(`Cannot parse IP address "${text}": it is neither IPv4 nor IPv6`);
  return address;
}

/** Makes an address of 4 or 16 bytes in network order. Throws a RangeError for another length. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length !== 4 && bytes.length !== 16) {
    throw new RangeError(`Cannot make an IP address of ${bytes.length} bytes: it has 4 or 16`);
  }
  return { family: bytes.length === 4 ? 4 : 6, bytes: bytes.slice() };
}

/** The canonical text: a dotted quad, or RFC 5952. */
export function formatIp(address: IpAddress): string {
  const { bytes } = address;
  if (address.family === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) {
    groups.push(((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0));
  }
  const [start, length] = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

export function ipEquals(left: IpAddress, right: IpAddress): boolean {
  return left.family === right.family && bytesEqual(left.bytes, right.bytes);
}

/** Negative, zero or positive, as `left` is before, the same as or after `right`; IPv4 comes before IPv6. */
export function compareIp(left: IpAddress, right: IpAddress): number {
  if (left.family !== right.family) return left.family - right.family;
  for (let index = 0; index < left.bytes.length; index++) {
    const difference = (left.bytes[index] ?? 0) - (right.bytes[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The address `count` places further (or back, when negative); it wraps at the end of the family's space. */
export function ipAdd(address: IpAddress, count: number): IpAddress {
  const bytes = address.bytes.slice();
  let carry = count;
  for (let index = bytes.length - 1; index >= 0 && carry !== 0; index--) {
    const sum = (bytes[index] ?? 0) + carry;
    bytes[index] = sum & 0xff;
    carry = Math.floor(sum / 256);
  }
  return { family: address.family, bytes };
}

/** True for an address of the family's multicast range: 224.0.0.0/4 or ff00::/8. */
export function isMulticast(address: IpAddress): boolean {
  const first = address.bytes[0] ?? 0;
  return address.family === 4 ? first >> 4 === 0xe : first === 0xff;
}

/** True for 0.0.0.0 and ::. */
export function isUnspecified(address: IpAddress): boolean {
  return allZero(address.bytes, address.bytes.length);
}

/** The number of bits of an address of the family. */
export function familyBits(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

function parseQuad(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let start = 0;
  for (let index = 0; index < 4; index++) {
    const end = index < 3 ? text.indexOf(".", start) : text.length;
    const octet = end < 0 ? undefined : findDecimal(text.slice(start, end), 255);
    if (octet === undefined) return undefined;
    bytes[index] = octet;
    start = end + 1;
  }
  return bytes;
}

/** The number that up to three decimal digits write without a leading zero; undefined when it is above `largest`. */
export function findDecimal(text: string, largest: number): number | undefined {
  if (text.length === 0 || text.length > 3 || (text.length > 1 && text.startsWith("0"))) return undefined;
  let value = 0;
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value > largest ? undefined : value;
}

function parseGroups(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupBytes(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? groupBytes(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  // "::" stands for at least one group of zeros (RFC 4291 §2.2), as Go reads it too.
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

function groupBytes(text: string, mayEndInQuad: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (mayEndInQuad && index === parts.length - 1 && part.includes(".")) {
      const quad = parseQuad(part);
      if (quad === undefined) return undefined;
      bytes.push(...quad);
    } else {
      if (!/^[\da-f]{1,4}$/i.test(part)) return undefined;
      const group = Number.parseInt(part, 16);
      bytes.push(group >> 8, group & 0xff);
    }
  }
  return bytes;
}

function isMapped(bytes: Uint8Array): boolean {
  return allZero(bytes, 10) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function allZero(bytes: Uint8Array, length: number): boolean {
  for (let index = 0; index < length; index++) if (bytes[index] !== 0) return false;
  return true;
}

function longestZeroRun(groups: readonly number[]): readonly [number, number] {
  let best = 0;
  let bestLength = 0;
  let start = 0;
  for (let index = 0; index <= groups.length; index++) {
    if (index < groups.length && groups[index] === 0) continue;
    if (index - start > bestLength) {
      best = start;
      bestLength = index - start;
    }
    start = index + 1;
  }
  return [best, bestLength];
}

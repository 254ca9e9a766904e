/** Addresses as numbers, for counting through ranges. */
import { type Family, familyBits, type IpAddress } from "./ip.ts";

/** The address as a number: its bytes with the first as the most significant. */
export function ipToInteger(address: IpAddress): bigint {
  let value = 0n;
  for (const byte of address.bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

/** The address of a number. Throws a RangeError for one that the family does not have. */
export function ipFromInteger(family: Family, value: bigint): IpAddress {
  const bits = familyBits(family);
  if (value < 0n || value >> BigInt(bits) !== 0n) {
    throw new RangeError(`Cannot make an IPv${family} address: ${value} is not a number of ${bits} bits`);
  }
  const bytes = new Uint8Array(bits / 8);
  let rest = value;
  for (let index = bytes.length - 1; index >= 0; index--) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return { family, bytes };
}

import type { Brand } from "../base/brand.ts";

/** A hardware address of six bytes, as lower-case text: `5a:dd:cc:32:b4:3b`. */
export type MacAddress = Brand<string, "MacAddress">;

const colon = 0x3a;

/** True for six pairs of lower-case hexadecimal digits joined by colons. */
export function isMac(text: string): text is MacAddress {
  if (text.length !== 17) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (index % 3 === 2 ? code !== colon : hexValue(code) < 0) return false;
  }
  return true;
}

/** The value of a lower-case hexadecimal digit, -1 for any other character. */
function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : -1;
}

/**
 * Parses `5A:DD:CC:32:B4:3B`, `5a-dd-cc-32-b4-3b` and `5add.cc32.b43b` in any case, as Go's net.ParseMAC does for six
 * bytes; undefined for anything else.
 */
export function findMac(text: string): MacAddress | undefined {
  const lower = text.toLowerCase();
  if (isMac(lower)) return lower;
  const digits = /^(?:[\da-f]{2}-){5}[\da-f]{2}$|^(?:[\da-f]{4}\.){2}[\da-f]{4}$/.test(lower)
    ? lower.replaceAll(/[-.]/g, "")
    : "";
  const canonical = digits.match(/../g)?.join(":") ?? "";
  return isMac(canonical) ? canonical : undefined;
}

/** Like findMac, but throws an Error that quotes the text. */
export function parseMac(text: string): MacAddress {
  const mac = findMac(text);
  if (mac === undefined)
    throw new Error(`Cannot parse hardware address "${text}": it must be six bytes in hexadecimal`);
  return mac;
}

/** The six bytes of the address. */
export function macBytes(mac: MacAddress): Uint8Array {
  const bytes = new Uint8Array(6);
  for (let index = 0; index < 6; index++) {
    bytes[index] = (hexValue(mac.charCodeAt(index * 3)) << 4) | hexValue(mac.charCodeAt(index * 3 + 1));
  }
  return bytes;
}

/** The text of six bytes. Throws a RangeError for another number of them. */
export function macFromBytes(bytes: Uint8Array): MacAddress {
  const hex = bytes.toHex();
  let text = hex.slice(0, 2);
  for (let index = 2; index < hex.length; index += 2) text += `:${hex.slice(index, index + 2)}`;
  if (!isMac(text)) throw new RangeError(`Cannot make a hardware address of ${bytes.length} bytes: it has 6`);
  return text;
}

/** Makes the bytes a locally administered unicast address (IEEE 802: bit 1 of the first byte set, bit 0 clear). */
export function localMac(bytes: Uint8Array): MacAddress {
  const copy = bytes.slice(0, 6);
  copy[0] = ((copy[0] ?? 0) & 0xfe) | 0x02;
  return macFromBytes(copy);
}

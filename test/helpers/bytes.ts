/** The bytes of hexadecimal text, in which white space only helps the eye. Throws an Error for anything else. */
export function hexToBytes(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(/\s+/g, "");
  if (!/^(?:[\da-f]{2})*$/i.test(digits)) throw new Error(`Cannot read bytes "${text}": they are not hexadecimal`);
  const bytes = new Uint8Array(new ArrayBuffer(digits.length / 2));
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}

/** Bytes as lower-case hexadecimal digits. */
export function bytesToHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

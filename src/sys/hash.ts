/** The SHA-256 digest of a text's UTF-8 bytes, or of bytes. */
export function sha256(data: string | Uint8Array): Uint8Array {
  const digest = new Uint8Array(32);
  Bun.SHA256.hash(data, digest);
  return digest;
}

/** The SHA-512 digest of a text's UTF-8 bytes. */
export function sha512(data: string): Uint8Array {
  const digest = new Uint8Array(64);
  Bun.SHA512.hash(data, digest);
  return digest;
}

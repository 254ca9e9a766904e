/** Searching of messages that are not decoded, for the daemon alone: others' rules may be thousands. */

/** Byte sequences, one of which is looked for. */
export class Patterns {
  readonly #patterns: readonly Buffer[];

  constructor(patterns: readonly (string | Uint8Array)[]) {
    this.#patterns = patterns.map((pattern) => Buffer.from(typeof pattern === "string" ? `${pattern}\0` : pattern));
  }

  /** True when one of them stands somewhere in the bytes. A text stands for itself and the NUL byte that ends it in C. */
  isIn(bytes: Uint8Array): boolean {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return this.#patterns.some((pattern) => buffer.includes(pattern));
  }
}

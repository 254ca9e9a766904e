const newline = 0x0a;

/** Cuts a stream into lines of UTF-8, without their ends; empty ones are left out. What follows the last end is no line. */
export class LineSplitter {
  readonly #take: (line: string) => void;
  #parts: Uint8Array[] = [];

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  /** Takes the next piece, of which nothing is kept; throws what `take` throws. */
  push(bytes: Uint8Array): void {
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      // A character may be cut, so that only whole lines become text.
      const line = Buffer.concat([...this.#parts, bytes.subarray(start, end)]).toString("utf8");
      this.#parts = [];
      start = end + 1;
      if (line.trim() !== "") this.#take(line);
    }
    if (start < bytes.length) this.#parts.push(bytes.slice(start));
  }
}

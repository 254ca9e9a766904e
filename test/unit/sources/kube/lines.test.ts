import { expect, test } from "bun:test";

import { LineSplitter } from "../../../../src/sources/kube/lines.ts";

const text = "first\n\nsecond ü€😀\r\n{}\nno line";

test("LineSplitter cuts the same lines from pieces of any size", () => {
  const bytes = new TextEncoder().encode(text);
  for (let size = 1; size <= bytes.length; size++) {
    const lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line));
    const piece = new Uint8Array(size);
    for (let start = 0; start < bytes.length; start += size) {
      const part = bytes.subarray(start, start + size);
      // The memory of a piece is used again for the next one.
      piece.set(part);
      splitter.push(piece.subarray(0, part.length));
    }
    expect(lines).toEqual(["first", "second ü€😀\r", "{}"]);
  }
});

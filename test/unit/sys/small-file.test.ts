import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";

import { allocate } from "../../../src/base/bytes.ts";
import { findStart } from "../../../src/sys/small-file.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

/** The first four bytes as text. */
function read(path: string): string | undefined {
  const buffer = allocate(4);
  const length = findStart(path, buffer);
  return length === undefined ? undefined : new TextDecoder().decode(buffer.subarray(0, length));
}

test("findStart() reads as much as the buffer holds, and says how much there was", async () => {
  await using directory = await createTemporaryDirectory();
  const texts = ["", "ab", "abcd", "abcdef"];
  const paths = await Promise.all(texts.map((text) => directory.write(`file-${text}`, text)));
  const before = readdirSync("/proc/self/fd").length;
  expect(paths.map(read)).toEqual(["", "ab", "abcd", "abcd"]);
  expect(read(directory.join("missing"))).toBeUndefined();
  expect(() => read(directory.path)).toThrow(`Cannot read ${directory.path}: is a directory (EISDIR)`);
  expect(() => read(`${directory.path}\0`)).toThrow("it holds a NUL character");
  expect(readdirSync("/proc/self/fd")).toHaveLength(before);
});

import { expect, test } from "bun:test";

import { findText } from "../../../src/sys/file.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

test("findText() reads no further than the limit, also where there is no end", async () => {
  await using directory = await createTemporaryDirectory();
  const path = await directory.write("file", "x".repeat(5000));
  expect(findText(path, 5000)).toBe("x".repeat(5000));
  expect(() => findText(path, 4999)).toThrow(`Cannot read ${path}: file too large (EFBIG)`);
  expect(() => findText("/dev/zero", 100_000)).toThrow("Cannot read /dev/zero: file too large (EFBIG)");
});

import { expect, test } from "bun:test";
import { statSync, utimesSync, writeFileSync } from "node:fs";

import { SyscallError } from "../../../src/sys/errno.ts";
import { modificationTime, setModificationTime } from "../../../src/sys/file-time.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

for (const seconds of [0, 1, 1_700_000_000, -1, -2, -2_147_483_648]) {
  test(`setModificationTime() sets ${seconds} seconds and leaves the time of access, modificationTime() reads it`, async () => {
    await using directory = await createTemporaryDirectory();
    const path = await directory.write("file", "");
    utimesSync(path, 1234, 5678);
    setModificationTime(path, seconds);
    expect(modificationTime(path)).toBe(seconds);
    expect(statSync(path)).toMatchObject({ atimeMs: 1_234_000, mtimeMs: seconds * 1000 });
  });
}

test("modificationTime() reads whole seconds of what somebody else has set, also after 2038", async () => {
  await using directory = await createTemporaryDirectory();
  const path = await directory.write("file", "");
  for (const seconds of [1, 0xffff_ffff, 8_000_000_000]) {
    utimesSync(path, 0, seconds);
    expect(modificationTime(path)).toBe(seconds);
  }
  writeFileSync(path, "now");
  expect(Math.abs(modificationTime(path) - Date.now() / 1000)).toBeLessThan(5);
});

test("modificationTime() and setModificationTime() name a file that is not there", () => {
  expect(() => modificationTime("/nonexistent/file")).toThrow(SyscallError);
  expect(() => setModificationTime("/nonexistent/file", 0)).toThrow(
    "Cannot set the time of /nonexistent/file: no such",
  );
});

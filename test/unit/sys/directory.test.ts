import { expect, test } from "bun:test";
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";

import { listDirectory, listOtherNames } from "../../../src/sys/directory.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

test("listDirectory() lists files, directories and links, and not itself or its parent", async () => {
  await using directory = await createTemporaryDirectory();
  await directory.write("10.244.1.0-24", "");
  await directory.write(".hidden", "");
  mkdirSync(directory.join("below"));
  symlinkSync("nowhere", directory.join("link"));
  expect(listDirectory(directory.path)?.toSorted()).toEqual([".hidden", "10.244.1.0-24", "below", "link"]);
  expect(listDirectory(directory.join("below"))).toEqual([]);
});

test("listDirectory() lists more than fits its buffer, each name once", async () => {
  await using directory = await createTemporaryDirectory();
  const names = Array.from({ length: 600 }, (_, index) => `${String(index).padStart(4, "0")}-${"n".repeat(60)}`);
  for (const name of names) writeFileSync(directory.join(name), "");
  expect(listDirectory(directory.path)?.toSorted()).toEqual(names);
});

test("listDirectory() keeps unusual names and the longest", async () => {
  await using directory = await createTemporaryDirectory();
  const names = [" ", "a\nb", "ünïcode-😀", "...", "n".repeat(255)];
  for (const name of names) writeFileSync(directory.join(name), "");
  expect(listDirectory(directory.path)?.toSorted()).toEqual(names.toSorted());
});

test("listDirectory() is undefined for a directory that is not there, and refuses a file", async () => {
  await using directory = await createTemporaryDirectory();
  const file = await directory.write("file", "");
  expect(listDirectory(directory.join("missing"))).toBeUndefined();
  expect(listDirectory(`${file}/below`)).toBeUndefined();
  expect(() => listDirectory(file)).toThrow(`Cannot list ${file}: not a directory (ENOTDIR)`);
  expect(() => listDirectory(`${directory.path}\0`)).toThrow("it holds a NUL character");
});

test("listDirectory() lists a directory of the kernel's", () => {
  expect(listDirectory("/proc/self/ns")).toContain("net");
});

test("listOtherNames() finds the links to a file among thousands, whatever their place, and nothing else", async () => {
  await using directory = await createTemporaryDirectory();
  for (let index = 0; index < 3000; index++) writeFileSync(directory.join(`file-${index}`), "");
  writeFileSync(directory.join(".link-abc"), "");
  for (const name of ["10.0.0.7", "10.0.0.8"]) linkSync(directory.join(".link-abc"), directory.join(name));
  symlinkSync(".link-abc", directory.join("symbolic"));
  expect(listOtherNames(directory.path, ".link-abc").toSorted()).toEqual(["10.0.0.7", "10.0.0.8"]);
  expect(listOtherNames(directory.path, "10.0.0.7").toSorted()).toEqual([".link-abc", "10.0.0.8"]);
  for (const name of ["file-12", "abc", "link-abc", ".link-ab", "missing"]) {
    expect(listOtherNames(directory.path, name)).toEqual([]);
  }
  expect(listOtherNames(directory.join("missing"), "file-1")).toEqual([]);
});

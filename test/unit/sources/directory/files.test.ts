import { expect, test } from "bun:test";

import { parseLeaseKey } from "../../../../src/lease/key.ts";
import { LeaseFiles } from "../../../../src/sources/directory/files.ts";
import { createDirectoryStore, type DirectoryStore } from "../../../helpers/directory-store.ts";

test("claim() puts a complete file in place and is refused a second time", async () => {
  await using store = await createDirectoryStore();
  const files = filesOf(store);
  expect(claim(files, "10.244.7.0-24", "mine")).toBe(true);
  expect(claim(files, "10.244.7.0-24", "theirs")).toBe(false);
  expect(await store.readLease("10.244.7.0-24")).toBe("mine");
  expect(await store.keys()).toEqual(["10.244.7.0-24"]);
});

test.each([
  ["10.244.0.0-20", "10.244.7.0-24"],
  ["10.244.7.128-25", "10.244.7.0-24"],
  ["10.244.7.0-24", "10.244.7.0-24&fd00::-64"],
  ["10.244.7.0-24&fd00::-64", "10.244.8.0-24&fd00::-64"],
])("claim() gives up beside %s, which came between, for %s and leaves nothing of it", async (other, mine) => {
  await using store = await createDirectoryStore();
  const files = filesOf(store);
  await store.writeLease(other, "theirs");
  expect(claim(files, mine, "mine")).toBe(false);
  expect(await store.keys()).toEqual([other]);
});

test("claim() stands beside neighbours and names that are no keys", async () => {
  await using store = await createDirectoryStore();
  const files = filesOf(store);
  for (const name of ["10.244.6.0-24", "10.244.8.0-21", "README", ".10.244.7.0-24.swp"]) {
    await store.writeLease(name, "theirs");
  }
  expect(claim(files, "10.244.7.0-24", "mine")).toBe(true);
  expect(
    files
      .taken()
      .map(({ key }) => key)
      .toSorted(),
  ).toEqual(["10.244.6.0-24", "10.244.7.0-24", "10.244.8.0-21"]);
});

test("taken() throws without a directory, which is not the same as an empty one", async () => {
  await using store = await createDirectoryStore();
  const files = new LeaseFiles(store.path);
  expect(files.list()).toBeUndefined();
  expect(() => files.taken()).toThrow(`Cannot list leases: there is no directory "${store.path}/subnets"`);
  expect(files.makeSubnets()).toBe(true);
  expect(files.taken()).toEqual([]);
  expect(files.makeSubnets()).toBe(false);
});

function filesOf(store: DirectoryStore): LeaseFiles {
  const files = new LeaseFiles(store.path);
  files.makeSubnets();
  return files;
}

function claim(files: LeaseFiles, key: string, text: string): boolean {
  return files.claim(key, parseLeaseKey(key), text);
}

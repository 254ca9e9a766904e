import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";

import { findNetns, type inNetns, NotANamespaceError, ownNetnsIdentity } from "../../../src/sys/netns.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

test("findNetns() gives a namespace one identity, whatever path leads to it", () => {
  using namespace = findNetns("/proc/self/ns/net");
  using again = findNetns(`/proc/${process.pid}/ns/net`);
  expect(namespace?.identity).toBe(ownNetnsIdentity());
  expect(again?.identity).toBe(ownNetnsIdentity());
});

test("findNetns() is undefined for a path that is not there", () => {
  expect(findNetns("/run/netns/absent")).toBeUndefined();
  expect(findNetns("/proc/self/ns/net/below")).toBeUndefined();
});

test("findNetns() refuses a file that is no namespace, in the words of CNI's reference library", async () => {
  await using directory = await createTemporaryDirectory();
  const path = await directory.write("netns", "");
  const before = readdirSync("/proc/self/fd").length;
  expect(() => findNetns(path)).toThrow(NotANamespaceError);
  expect(() => findNetns(path)).toThrow(new RegExp(`^unknown FS magic on "${path}": [0-9a-f]+$`));
  expect(readdirSync("/proc/self/fd")).toHaveLength(before);
});

type Accepted<T> = (() => T) extends Parameters<typeof inNetns<T>>[1] ? true : false;

test("inNetns() takes no work that goes on after it returned", () => {
  // What is awaited would run in the old namespace. The compiler is what tests this.
  const synchronous: Accepted<number> = true;
  const asynchronous: Accepted<Promise<number>> = false;
  expect([synchronous, asynchronous]).toEqual([true, false]);
});

/** What is kept for a start without the API server. */
import { expect, test } from "bun:test";

import type { AnnotationName } from "../../src/sources/kube/annotations.ts";
import { type KeptNodes, NodeCache } from "../../src/sources/kube/cache.ts";
import { createAuthority } from "../helpers/certificates.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";

const kept: KeptNodes = {
  own: {
    name: "a",
    resourceVersion: "",
    podCidrs: ["10.244.1.0/24"],
    annotations: new Map<AnnotationName, string>([["public-ip-overwrite", "1.2.3.4"]]),
    initialEnd: false,
  },
  texts: [
    ["a", ["10.244.1.0/24", "vxlan", "{}", "", "1.1.1.1", ""].join("\0")],
    ["b", 'with "quotes"\nand lines'],
  ],
};

test("NodeCache finds what was kept, for the same cluster and prefix only", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("state");
  const cache = new NodeCache(path, "a.b/");
  expect(cache.find("c")).toBeUndefined();
  cache.keep("c", kept);
  expect(new NodeCache(path, "a.b/").find("c")).toEqual(kept);
  expect(new NodeCache(path, "a.b/").find("d")).toBeUndefined();
  expect(new NodeCache(path, "other.b/").find("c")).toBeUndefined();
});

test("NodeCache finds what was kept while the cluster's authority is being replaced, and not under a foreign one", async () => {
  await using directory = await createTemporaryDirectory();
  const authorities = await Promise.all(["old", "new", "foreign"].map((name) => createAuthority(directory, name)));
  const [old = "", next = "", foreign = ""] = authorities.map(({ own }) => own.cert);
  const path = directory.join("state");
  new NodeCache(path, "a.b/").keep(old, kept);
  expect(new NodeCache(path, "a.b/").find(`${next}${old}`)).toEqual(kept);
  expect(new NodeCache(path, "a.b/").find(next)).toBeUndefined();
  new NodeCache(path, "a.b/").keep(`${old}${next}`, kept);
  expect(new NodeCache(path, "a.b/").find(next)).toEqual(kept);
  expect(new NodeCache(path, "a.b/").find(foreign)).toBeUndefined();
});

test("NodeCache takes a file that is broken or cut for none", async () => {
  await using directory = await createTemporaryDirectory();
  const cache = new NodeCache(directory.path, "a.b/");
  cache.keep("c", kept);
  const text = await Bun.file(cache.path).text();
  for (const broken of ["", "{", text.slice(0, -20), text.split("\n")[0] ?? "", text.replace('"own"', '"won"')]) {
    await Bun.write(cache.path, broken);
    expect(new NodeCache(directory.path, "a.b/").find("c")).toBeUndefined();
  }
});

test("NodeCache writes a file of 5,000 nodes that is small, and does not write the same twice", async () => {
  await using directory = await createTemporaryDirectory();
  const cache = new NodeCache(directory.path, "a.b/");
  const data = '{"VNI":1,"VtepMAC":"5a:00:00:00:00:01"}';
  const text = ["10.244.100.0/24", "vxlan", data, "", "192.168.100.100", ""].join("\0");
  const many = { ...kept, texts: Array.from({ length: 5000 }, (_, index) => [`node-${index}`, text] as const) };
  cache.keep("c", many);
  const { size, lastModified } = Bun.file(cache.path);
  expect(size).toBeLessThan(1_000_000);
  await Bun.sleep(20);
  cache.keep("c", many);
  expect(Bun.file(cache.path).lastModified).toBe(lastModified);
});

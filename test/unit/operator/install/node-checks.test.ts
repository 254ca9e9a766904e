import { expect, test } from "bun:test";
import { symlink } from "node:fs/promises";

import { nodeFaults, readNodeFacts } from "../../../../src/operator/install/node-checks.ts";
import { createTemporaryDirectory } from "../../../helpers/temp.ts";

const found = { kind: "found" } as const;
const loaderName = process.arch === "arm64" ? "ld-linux-aarch64.so.1" : "ld-linux-x86-64.so.2";

test.each(["4.19.0-26-amd64", "5.3.18", "3.10.0-1160.el7.x86_64"])(
  "nodeFaults() names kernel %s as too old",
  (kernel) => {
    expect(nodeFaults({ kernel, loader: found })).toEqual({
      faults: [`the kernel is ${kernel}, wanted Linux 5.4 or newer`],
      doubts: [],
    });
  },
);

test.each(["5.4.0", "5.15.0-1-generic", "6.1.0-18-amd64", "10.0"])("nodeFaults() takes kernel %s", (kernel) => {
  expect(nodeFaults({ kernel, loader: found })).toEqual({ faults: [], doubts: [] });
});

test("nodeFaults() refuses a node without glibc, and doubts one of which only a part is seen", async () => {
  await using root = await createTemporaryDirectory();
  await root.write("usr/lib/os-release", 'NAME="Alpine"\nPRETTY_NAME="Alpine Linux v3.22"\n');
  const seen = { kernel: "6.1.0", loader: readNodeFacts(root.path).loader };
  expect(nodeFaults(seen).faults).toEqual([]);
  expect(nodeFaults(seen).doubts.join()).toStartWith("the node (Alpine Linux v3.22) has no /lib");
  await root.directory("etc");
  const whole = nodeFaults({ kernel: "6.1.0", loader: readNodeFacts(`${root.path}/`).loader });
  expect(whole.doubts).toEqual([]);
  expect(whole.faults.join()).toContain("need glibc 2.17 or newer with its loader");
});

test("readNodeFacts() finds the loader where /lib64 is a link, also one that leads outside as seen from here", async () => {
  await using root = await createTemporaryDirectory();
  await root.directory("etc");
  await root.directory("usr/lib64");
  await symlink("/usr/lib64", root.join(process.arch === "arm64" ? "lib" : "lib64"));
  await symlink("ld-2.28.so", root.join("usr/lib64", loaderName));
  expect(readNodeFacts(root.path).loader).toEqual({ kind: "found" });
  expect(readNodeFacts(undefined).loader).toEqual({ kind: "unasked" });
  expect(readNodeFacts("/").loader).toEqual({ kind: "found" });
});

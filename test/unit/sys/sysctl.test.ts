import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";

import { ensureSysctl } from "../../../src/sys/sysctl.ts";

test("ensureSysctl() does not write a setting that has the value: this one cannot be written", () => {
  const value = readFileSync("/proc/sys/kernel/ostype", "utf8").trimEnd();
  expect(() => ensureSysctl("kernel/ostype", value)).not.toThrow();
  expect(() => ensureSysctl("kernel/ostype", "other")).toThrow(
    "Cannot open /proc/sys/kernel/ostype: permission denied",
  );
});

test("ensureSysctl() names a setting that the kernel does not have", () => {
  expect(() => ensureSysctl("net/ipv4/conf/absent0/forwarding", "1")).toThrow(
    "Cannot open /proc/sys/net/ipv4/conf/absent0/forwarding: no such file or directory (ENOENT)",
  );
});

import { expect, test } from "bun:test";

import { childEnvironment } from "../../../src/sys/child.ts";

test("childEnvironment() keeps what is not ours to decide and drops what would steer the child", () => {
  const own = {
    PATH: "/usr/bin",
    BUN_BE_BUN: "1",
    BUN_OPTIONS: "--preload=/tmp/x",
    FLANNELD_IP_MASQ: "true",
    CNI_COMMAND: "DEL",
    BUNDLE: "kept",
    GONE: undefined,
  };
  expect(childEnvironment(own, { CNI_PATH: "/bin" })).toEqual({ PATH: "/usr/bin", BUNDLE: "kept", CNI_PATH: "/bin" });
});

import { expect, test } from "bun:test";

import { commit, version, versionLine } from "../../../src/base/version.ts";

test("versionLine holds version and commit, and says so when nothing was built", () => {
  expect({ version, commit, versionLine }).toEqual({
    version: "0.0.0-unbuilt",
    commit: "unknown",
    versionLine: "tartan 0.0.0-unbuilt (unknown)",
  });
});

import { expect, test } from "bun:test";

import { CniError } from "../../../src/cni/error.ts";
import { cniVersions, isAtLeast } from "../../../src/cni/version.ts";
import { checkVerbVersion, checkVersion } from "../../../src/cni/version-check.ts";

function problem(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    return `${error.code} ${error.message}${error.details === undefined ? "" : ` | ${error.details}`}`;
  }
}

test("checkVersion() takes every version of the list to the letter", () => {
  for (const version of cniVersions) expect(checkVersion(version)).toBe(version);
  for (const text of ["0.1", "1.0", "1.1.0 ", "v1.0.0", "1.2.0", "01.0.0", "abc", ""]) {
    expect(problem(() => checkVersion(text))).toBe(
      `1 incompatible CNI versions | config is "${text}", plugin supports ` +
        '["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]',
    );
  }
});

test("isAtLeast() follows the order of the releases", () => {
  expect(cniVersions.filter((version) => isAtLeast(version, "0.3.1"))).toEqual(["0.3.1", "0.4.0", "1.0.0", "1.1.0"]);
});

test("checkVerbVersion() refuses a version too old for the verb", () => {
  for (const [verb, first] of [
    ["CHECK", "0.4.0"],
    ["GC", "1.1.0"],
    ["STATUS", "1.1.0"],
  ] as const) {
    for (const version of cniVersions) {
      const wanted = isAtLeast(version, first) ? undefined : `1 config version does not allow ${verb}`;
      expect([verb, version, problem(() => checkVerbVersion(verb, version))]).toEqual([verb, version, wanted]);
    }
  }
});

test("checkVerbVersion() compares numbers, also of versions there never were", () => {
  expect(problem(() => checkVerbVersion("CHECK", "0.3.9"))).toBe("1 config version does not allow CHECK");
  expect(problem(() => checkVerbVersion("GC", "1.0.99"))).toBe("1 config version does not allow GC");
  // Whether it is one that is known is for checkVersion() to say.
  expect(problem(() => checkVerbVersion("CHECK", "0.10.0"))).toBeUndefined();
  expect(problem(() => checkVerbVersion("CHECK", "1"))).toBeUndefined();
  expect(problem(() => checkVerbVersion("CHECK", "1.1.1"))).toBe("1 plugin version does not allow CHECK");
  expect(problem(() => checkVerbVersion("STATUS", "2.0.0"))).toBe("1 plugin version does not allow STATUS");
});

test("checkVerbVersion() says which part of a version is no number", () => {
  expect(problem(() => checkVerbVersion("GC", "abc"))).toBe('6 failed to convert major version part "abc"');
  expect(problem(() => checkVerbVersion("GC", "1.x.0"))).toBe('6 failed to convert minor version part "x"');
  expect(problem(() => checkVerbVersion("GC", "1.1."))).toBe('6 failed to convert micro version part ""');
  expect(problem(() => checkVerbVersion("GC", "1.1.0.0"))).toBe('6 invalid version "1.1.0.0": too many parts');
});

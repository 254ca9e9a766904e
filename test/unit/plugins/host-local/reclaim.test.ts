import { expect, test } from "bun:test";

import { bootMark, isOfEarlierBoot } from "../../../../src/plugins/host-local/reclaim.ts";

test("bootMark() is an even number of seconds before 1970 that 32 bits can hold", () => {
  for (const id of ["00000000", "00000003", "7fffffff", "c4a1e033", "ffffffff"]) {
    const mark = bootMark(`${id}-7512-4c37-9d4b-e3e6d7b5c8fa\n`) ?? 0;
    expect(mark).toBeLessThan(0);
    expect(mark).toBeGreaterThanOrEqual(-(2 ** 31));
    expect(mark % 2 === 0).toBe(true);
  }
});

test("bootMark() tells boots apart", () => {
  const ids = Array.from({ length: 1000 }, () => crypto.randomUUID());
  expect(new Set(ids.map(bootMark)).size).toBe(1000);
});

test("bootMark() finds none in what is no boot's id", () => {
  for (const text of ["", "\n", "c4a1e03", "c4a1e033", "C4A1E033-7512", "0x123456-7512", " c4a1e033-7512"]) {
    expect(bootMark(text)).toBeUndefined();
  }
});

test("isOfEarlierBoot() is true only for another boot's mark", () => {
  expect(isOfEarlierBoot(-4, -2)).toBe(true);
  expect(isOfEarlierBoot(-2, -2)).toBe(false);
  for (const natural of [0, 1, 1_700_000_000]) expect(isOfEarlierBoot(natural, -2)).toBe(false);
});

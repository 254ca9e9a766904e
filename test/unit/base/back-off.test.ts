import { expect, test } from "bun:test";

import { BackOff, drawWait } from "../../../src/base/back-off.ts";

test("BackOff waits twice as long after each failure, up to 30 s", () => {
  const backOff = new BackOff();
  const waits: number[] = [];
  for (let now = 5000; waits.length < 7;) {
    backOff.fail("route", "refused", now);
    const next = backOff.nextAt() ?? 0;
    expect([backOff.isDue("route", next - 1), backOff.isDue("route", next)]).toEqual([false, true]);
    waits.push(next - now);
    now = next;
  }
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

test("BackOff does not overflow after very many failures", () => {
  const backOff = new BackOff();
  for (let count = 0; count < 2000; count++) backOff.fail("route", "refused", 0);
  expect(backOff.nextAt()).toBe(30_000);
});

test("BackOff.fail() is news the first time and with another text", () => {
  const backOff = new BackOff();
  expect(["a", "a", "b", "b", "a"].map((text) => backOff.fail("route", text, 0))).toEqual([
    true,
    false,
    true,
    false,
    true,
  ]);
  expect([backOff.failureOf("route"), backOff.failureOf("other")]).toEqual(["a", undefined]);
});

test("BackOff knows nothing of what never failed, and forgets what succeeded", () => {
  const backOff = new BackOff();
  expect([backOff.isDue("route", 0), backOff.nextAt()]).toEqual([true, undefined]);
  backOff.fail("route", "refused", 0);
  backOff.fail("route", "refused", 1000);
  backOff.forget("route");
  expect([backOff.isDue("route", 0), backOff.failureOf("route"), backOff.nextAt()]).toEqual([
    true,
    undefined,
    undefined,
  ]);
  expect(backOff.fail("route", "refused", 5000)).toBe(true);
  expect(backOff.nextAt()).toBe(6000);
});

test("BackOff keeps failures apart, and only those asked for", () => {
  const backOff = new BackOff();
  for (const [key, now] of [["a", 300] as const, ["b", 100] as const, ["c", 200] as const]) backOff.fail(key, "", now);
  expect(backOff.nextAt()).toBe(1100);
  backOff.keepOnly(new Set(["a", "c", "d"]));
  expect([backOff.nextAt(), backOff.failureOf("b"), backOff.failureOf("d")]).toEqual([1200, undefined, undefined]);
});

test("BackOff waits as long as it is told to draw", () => {
  const backOff = new BackOff((longestMs) => longestMs / 4);
  backOff.fail("route", "refused", 0);
  backOff.fail("route", "refused", 0);
  expect([backOff.nextAt(), backOff.isDue("route", 499), backOff.isDue("route", 500)]).toEqual([500, false, true]);
});

test("drawWait() draws the second half of a wait", () => {
  const drawn = Array.from({ length: 1000 }, () => drawWait(100));
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(50);
  expect(Math.max(...drawn)).toBeLessThan(100);
  expect(Math.max(...drawn) - Math.min(...drawn)).toBeGreaterThan(25);
});

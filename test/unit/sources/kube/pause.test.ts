import { expect, test } from "bun:test";

import { drawWait, pause } from "../../../../src/sources/kube/pause.ts";
import { rejection } from "../../../helpers/rejection.ts";

test("drawWait() draws the second half of a wait", () => {
  const drawn = Array.from({ length: 1000 }, () => drawWait(100));
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(50);
  expect(Math.max(...drawn)).toBeLessThan(100);
  expect(Math.max(...drawn) - Math.min(...drawn)).toBeGreaterThan(25);
});

test("pause() ends at once with the signal's reason", async () => {
  const stop = new AbortController();
  const began = performance.now();
  const paused = pause(60_000, stop.signal);
  stop.abort(new Error("over"));
  expect(await rejection(paused)).toHaveProperty("message", "over");
  expect(performance.now() - began).toBeLessThan(5000);
  await pause(1, new AbortController().signal);
});

import { expect, test } from "bun:test";

import { pause } from "../../../../src/sources/kube/pause.ts";
import { rejection } from "../../../helpers/rejection.ts";

test("pause() ends at once with the signal's reason", async () => {
  const stop = new AbortController();
  const began = performance.now();
  const paused = pause(60_000, stop.signal);
  stop.abort(new Error("over"));
  expect(await rejection(paused)).toHaveProperty("message", "over");
  expect(performance.now() - began).toBeLessThan(5000);
  await pause(1, new AbortController().signal);
});

import { expect, test } from "bun:test";

import { runProgram } from "../../../src/sys/program.ts";
import { rejection } from "../../helpers/rejection.ts";

function shell(script: string, timeoutMilliseconds = 10_000): Promise<string> {
  return runProgram(["/bin/sh", "-c", script], { environment: {}, timeoutMilliseconds });
}

test("runProgram() returns what a program writes, and quotes what it says when it fails", async () => {
  expect(await shell("echo out; echo err >&2")).toBe("out\n");
  expect((await rejection(shell("echo no card >&2; exit 3"))).message).toBe("exit 3, no card");
  expect((await rejection(shell("exit 4"))).message).toBe("exit 4");
});

test("runProgram() names the signal that ended a program", async () => {
  expect((await rejection(shell("echo first >&2; kill -SEGV $$"))).message).toBe("killed by SIGSEGV, first");
  expect((await rejection(shell("kill -KILL $$"))).message).toBe("killed by SIGKILL");
});

test("runProgram() kills a program that takes too long, and does not wait for what that has started", async () => {
  const began = performance.now();
  expect((await rejection(shell("exec sleep 5", 300))).message).toBe("killed after 0.3 s");
  expect((await rejection(shell("sleep 4 & wait", 300))).message).toBe("killed after 0.3 s");
  expect(performance.now() - began).toBeLessThan(3000);
});

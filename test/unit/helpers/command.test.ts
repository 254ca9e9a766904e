import { describe, expect, test } from "bun:test";

import { startProcess } from "../../helpers/background.ts";
import { quoteArgv, runCommand } from "../../helpers/command.ts";
import { rejection } from "../../helpers/rejection.ts";

describe("programs that the tests run", () => {
  test("runCommand() hands over stdin and environment and returns both streams", async () => {
    const script = 'cat; echo "$WORD" >&2';
    const result = await runCommand(["sh", "-c", script], { stdin: "text", env: { WORD: "word" } });
    expect(result).toMatchObject({ exitCode: 0, stdout: "text", stderr: "word\n" });
  });

  test("runCommand() shows command, exit code and output when the exit code is not the one wanted", async () => {
    const failing = runCommand(["sh", "-c", "echo out; echo err >&2; exit 3"]);
    const { message } = await rejection(failing);
    expect(message).toMatch(/sh -c 'echo out.*exit code 3, wanted 0\n--- stdout\nout\n--- stderr\nerr/);
    expect(await runCommand(["sh", "-c", "exit 3"], { exitCode: 3 })).toMatchObject({ exitCode: 3 });
  });

  test("runCommand() ends a program that takes too long", async () => {
    const slow = runCommand(["sh", "-c", "echo begun; exec sleep 60"], { timeoutMs: 200 });
    const { message } = await rejection(slow);
    expect(message).toMatch(/it still runs after 200 ms\n--- stdout\nbegun/);
  });

  test("runCommand() does not wait for what a program left behind", async () => {
    const leaving = runCommand(["sh", "-c", "sleep 1 & echo begun"], { timeoutMs: 200 });
    const { message } = await rejection(leaving);
    expect(message).toMatch(/something it started holds its output after 200 ms/);
  });

  test("quoteArgv() quotes the words that a shell would change", () => {
    expect(quoteArgv(["ip", "link", "a b", "it's"])).toBe("ip link 'a b' 'it'\\''s'");
  });

  test("startProcess() tells what was written when the program ends before it is ready", async () => {
    await using failing = startProcess(["sh", "-c", "echo no >&2; exit 4"]);
    const { message } = await rejection(failing.waitUntil("it is ready", () => false));
    expect(message).toMatch(/it is ready: exit code 4[\s\S]*no/);
  });

  test("startProcess() ends the program with its scope, by force when it does not listen", async () => {
    let pid = 0;
    {
      await using stubborn = startProcess(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], {
        stopMs: 100,
      });
      await stubborn.waitUntil("it is ready", () => stubborn.stdout.includes("ready"));
      ({ pid } = stubborn);
    }
    expect(() => process.kill(pid, 0)).toThrow();
  });
});

import { expect, test } from "bun:test";
import { openSync, symlinkSync } from "node:fs";
import { join } from "node:path";

import { findProgram, runCommand } from "../../../src/sys/command.ts";
import { runCommand as runTestCommand } from "../../helpers/command.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

test("runCommand() gives standard input and the environment, and returns what was written", () => {
  const outcome = runCommand(["sh", "-c", 'cat; printf "%s" "$WORD"; exit 7'], {
    env: { PATH: process.env["PATH"], WORD: "ünïcode", GONE: undefined },
    stdin: "in\n",
  });
  expect(outcome).toEqual({ status: 7, stdout: "in\nünïcode", stderr: "" });
});

test("runCommand() gives no variable that it was not asked to give", () => {
  const { stdout } = runCommand(["/usr/bin/env"], { env: { ONLY: "1" }, stdin: "" });
  expect(stdout).toBe("ONLY=1\n");
});

test("runCommand() names the signal that ended a program", () => {
  const { status } = runCommand(["sh", "-c", "kill -KILL $$"], { env: process.env, stdin: "" });
  expect(status).toBe("SIGKILL");
});

test("runCommand() takes large texts both ways at once", () => {
  const text = "0123456789abcdef".repeat(50_000);
  expect(runCommand(["cat"], { env: process.env, stdin: text }).stdout).toBe(text);
});

test("runCommand() says why a program cannot be started", async () => {
  await using directory = await createTemporaryDirectory();
  const gone = "it, or the interpreter that its first line names, is not there (ENOENT)";
  for (const [path, why] of [
    [directory.join("missing"), gone],
    [await directory.write("script", "#!/nonexistent/sh\n", 0o755), gone],
    [await directory.write("text", "no program", 0o644), "permission denied (EACCES)"],
  ] as const) {
    expect(() => runCommand([path], { env: {}, stdin: "" })).toThrow(`Cannot execute ${path}: ${why}`);
  }
});

test("findProgram() prefers what can be executed, and finds no directory", async () => {
  await using directory = await createTemporaryDirectory();
  const text = await directory.write("first/one", "", 0o644);
  await directory.write("first/two/file", "");
  const directories = [directory.join("nowhere"), directory.join("first"), directory.join("second")];
  expect(findProgram("one", directories)).toBe(text);
  expect(findProgram("two", directories)).toBeUndefined();
  const program = await directory.write("second/one", "#!/bin/sh\n", 0o755);
  expect(findProgram("one", directories)).toBe(program);
  expect(findProgram("o\0ne", directories)).toBeUndefined();
});

test("runCommand() waits for a program that is still being written", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("program");
  await runTestCommand(["cp", Bun.which("true") ?? "/bin/true", path]);
  const writing = openSync(path, "r+");
  // Closed by a thread of its own, since this one is busy in runCommand.
  const worker = new Worker(
    `data:text/javascript,import { closeSync } from "node:fs"; setTimeout(() => closeSync(${writing}), 150);`,
  );
  try {
    expect(runCommand([path], { env: {}, stdin: "" }).status).toBe(0);
  } finally {
    worker.terminate();
  }
});

test("runCommand() passes on what the program says on standard error", async () => {
  const module = JSON.stringify(join(import.meta.dir, "../../../src/sys/command.ts"));
  const script = `
    const { runCommand } = await import(${module});
    const outcome = runCommand(["sh", "-c", "echo out; echo problem >&2"], { env: process.env, stdin: "" });
    console.log(JSON.stringify(outcome));`;
  const { stdout, stderr } = await runTestCommand([process.execPath, "-e", script]);
  expect(stderr).toBe("problem\n");
  expect(JSON.parse(stdout)).toEqual({ status: 0, stdout: "out\n", stderr: "problem\n" });
});

test("runCommand() succeeds with the program although nobody reads our standard error", async () => {
  const module = JSON.stringify(join(import.meta.dir, "../../../src/sys/command.ts"));
  const script = `
    const { runCommand } = await import(${module});
    const { status } = runCommand(["sh", "-c", "sleep 0.1; echo problem >&2"], { env: process.env, stdin: "" });
    console.log("status", status);`;
  const shell = '{ "$0" -e "$1" 2>&1 >&3 | true; } 3>&1';
  const { stdout } = await runTestCommand(["sh", "-c", shell, process.execPath, script]);
  expect(stdout).toBe("status 0\n");
});

test("findProgram() takes the first directory that has an executable file of the name", async () => {
  await using directory = await createTemporaryDirectory();
  await directory.write("first/bridge", "", 0o644);
  await directory.directory("second/bridge");
  const third = await directory.write("third/bridge", "", 0o755);
  await directory.directory("fourth");
  symlinkSync(third, directory.join("fourth/other"));
  const path = ["missing", "first", "second", "third", "fourth"].map((name) => directory.join(name));
  expect(findProgram("bridge", path)).toBe(third);
  expect(findProgram("other", path)).toBe(directory.join("fourth/other"));
  expect(findProgram("absent", path)).toBeUndefined();
  expect(findProgram("sh", [])).toBeUndefined();
});

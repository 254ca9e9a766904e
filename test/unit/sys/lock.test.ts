import { expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { lockFile, lockFileWithin, LockTimeoutError } from "../../../src/sys/lock.ts";
import { type BackgroundProcess, startProcess } from "../../helpers/background.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

const lockModule = join(import.meta.dir, "../../../src/sys/lock.ts");

/** Another process that waits for the lock, says so when it has it, and ends some time later without giving it back. */
function startHolder(path: string, holdMs: number): BackgroundProcess {
  const script = `
    const { lockFile } = await import(${JSON.stringify(lockModule)});
    process.on("SIGIO", () => undefined);
    console.log("waiting");
    lockFile(${JSON.stringify(path)}, 0o600);
    console.log("locked");
    setTimeout(() => process.exit(7), ${holdMs});`;
  return startProcess([process.execPath, "-e", script]);
}

/** Whether a process sleeps, by the kernel's word. */
function sleeps(pid: number): boolean {
  return /^State:\s+S/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}

test("lockFile() makes the file with the mode asked for, and leaves the mode of one that is there", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("lock");
  const before = process.umask(0o077);
  try {
    lockFile(path, 0o644)[Symbol.dispose]();
    lockFile(path, 0o600)[Symbol.dispose]();
  } finally {
    process.umask(before);
  }
  expect((statSync(path).mode & 0o777).toString(8)).toBe("644");
});

test("lockFile() waits, through signals, until another process gives the lock back", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("lock");
  const lock = lockFile(path, 0o600);
  await using other = startHolder(path, 0);
  await other.waitUntil("it waits", () => other.stdout.includes("waiting") && sleeps(other.pid));
  for (let count = 0; count < 5; count++) {
    other.signal("SIGIO");
    await Bun.sleep(10);
  }
  expect({ stdout: other.stdout, stderr: other.stderr, exitCode: other.exitCode }).toEqual({
    stdout: "waiting\n",
    stderr: "",
    exitCode: undefined,
  });
  lock[Symbol.dispose]();
  await other.waitUntil("it has the lock", () => other.stdout === "waiting\nlocked\n");
});

test("lockFile() gets the lock of a process that ended without giving it back", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("lock");
  await using other = startHolder(path, 100);
  await other.waitUntil("it has the lock", () => other.stdout.includes("locked"));
  // Blocks this whole process until the other has ended.
  using lock = lockFile(path, 0o600);
  expect(lock).toBeDefined();
  expect(await other.ended).toBe(7);
});

test("lockFile() can be taken again after it was given back", async () => {
  await using directory = await createTemporaryDirectory();
  for (let count = 0; count < 3; count++) {
    using lock = lockFile(directory.join("lock"), 0o600);
    expect(lock).toBeDefined();
  }
});

test("lockFile() tells that the directory of the lock is missing", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("missing/lock");
  expect(() => lockFile(path, 0o600)).toThrow(`Cannot make ${path}: no such file or directory (ENOENT)`);
});

test("lockFileWithin() gives up after its time, and takes a lock that is given back before", async () => {
  await using directory = await createTemporaryDirectory();
  const path = directory.join("lock");
  const lock = lockFile(path, 0o600);
  const start = performance.now();
  expect(() => lockFileWithin(path, 0o600, 50)).toThrow(new LockTimeoutError(path, 50));
  expect(performance.now() - start).toBeGreaterThanOrEqual(50);
  lock[Symbol.dispose]();
  await using holder = startHolder(path, 100);
  await holder.waitUntil("it has the lock", () => holder.stdout.includes("locked"));
  lockFileWithin(path, 0o600, 10_000)[Symbol.dispose]();
  lockFileWithin(path, 0o600, 0)[Symbol.dispose]();
});

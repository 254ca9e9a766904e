import { expect, test } from "bun:test";

import { readAll, openFile } from "../../../src/sys/file.ts";

test("Fd cannot be used after it was disposed of", () => {
  const file = openFile("/dev/null");
  file[Symbol.dispose]();
  expect(() => file.number).toThrow("Cannot use file descriptor: it is closed");
});

test("Fd closes its number once: disposing again does not close what has the number now", () => {
  const first = openFile("/dev/null");
  const { number } = first;
  first[Symbol.dispose]();
  using second = openFile("/proc/self/comm");
  expect(second.number).toBe(number);
  first[Symbol.dispose]();
  expect(readAll(second, "comm").length).toBeGreaterThan(0);
});

test("Fd is closed when the block that holds it is left by an error", () => {
  let number = -1;
  expect(() => {
    using file = openFile("/dev/null");
    ({ number } = file);
    throw new Error("left");
  }).toThrow("left");
  using next = openFile("/dev/null");
  expect(next.number).toBe(number);
});

test("descriptors are not inherited by programs that are started", async () => {
  using file = openFile("/dev/null");
  const child = Bun.spawn(["ls", "/proc/self/fd"], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  const listed = (await child.stdout.text()).trim().split("\n").map(Number);
  await child.exited;
  expect(listed).toContain(1);
  expect(listed).not.toContain(file.number);
});

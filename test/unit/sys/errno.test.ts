import { expect, test } from "bun:test";
import { constants } from "node:os";

import { checked, errno, failedWith, SyscallError } from "../../../src/sys/errno.ts";
import { libc } from "../../../src/sys/libc.ts";

test("errno has the numbers of the machine's C library", () => {
  const known: Readonly<Record<string, number>> = constants.errno;
  const wrong = Object.entries(errno).filter(([name, number]) => known[name] !== number);
  expect(wrong).toEqual([]);
});

test("SyscallError says what could not be done, on what, and why", () => {
  const error = new SyscallError("open", errno.EACCES, "/etc/shadow");
  expect(String(error)).toBe("SyscallError: Cannot open /etc/shadow: permission denied (EACCES)");
  expect({ call: error.call, errno: error.errno }).toEqual({ call: "open", errno: 13 });
  expect(new SyscallError("bind socket", errno.EADDRINUSE, "").message).toBe(
    "Cannot bind socket: address already in use (EADDRINUSE)",
  );
});

test("SyscallError shows an error number without a name", () => {
  expect(new SyscallError("open", 131, "a").message).toBe("Cannot open a: state not recoverable (errno 131)");
  expect(new SyscallError("open", 4095, "a").message).toBe("Cannot open a: unknown error 4095 (errno 4095)");
});

test("checked() passes results on and turns -1 into the error of that very call", () => {
  expect(checked(0, "do")).toBe(0);
  expect(checked(7, "do")).toBe(7);
  expect(() => checked(libc.close(1_000_000), "close", "descriptor")).toThrow(
    "Cannot close descriptor: bad file descriptor (EBADF)",
  );
  expect(() => checked(libc.unlink("/proc/self/absent/below"), "remove")).toThrow("Cannot remove: no such file");
});

test("failedWith() tells error numbers apart and other errors from system calls", () => {
  const error = new SyscallError("open", errno.ENOENT, "");
  expect(failedWith(error, errno.ENOENT)).toBe(true);
  expect(failedWith(error, errno.EEXIST, errno.ENOENT)).toBe(true);
  expect(failedWith(error, errno.EEXIST)).toBe(false);
  expect(failedWith(error)).toBe(false);
  expect(failedWith(new Error("Cannot open", { cause: error }), errno.ENOENT)).toBe(false);
  expect(failedWith({ errno: errno.ENOENT }, errno.ENOENT)).toBe(false);
});

import { expect, test } from "bun:test";

import { errorText, unreachable } from "../../../src/base/error.ts";
import { SyscallError } from "../../../src/sys/errno.ts";

test("errorText() joins the messages of an error and its causes", () => {
  const inner = new SyscallError("open", 2, "/etc/missing");
  const middle = new Error('Cannot read configuration "a"', { cause: inner });
  expect(errorText(new Error("Cannot start", { cause: middle }))).toBe(
    'Cannot start: Cannot read configuration "a": Cannot open /etc/missing: no such file or directory (ENOENT)',
  );
});

test("errorText() stays on one line", () => {
  expect(errorText(new Error("Cannot run:\n  first\r\n\tsecond"))).toBe("Cannot run: first second");
});

test("errorText() shows causes that are no errors", () => {
  expect(errorText(new Error("Cannot stop", { cause: "timeout" }))).toBe("Cannot stop: timeout");
  expect(errorText(new Error("Cannot stop", { cause: { code: 7 } }))).toBe('Cannot stop: {"code":7}');
  expect(errorText("text")).toBe("text");
  expect(errorText(new Error("Cannot stop", { cause: null }))).toBe("Cannot stop: null");
});

type Mode = "bridge" | "private";

/** A check that lets too much through. */
function isMode(text: string): text is Mode {
  return text.length > 0;
}

function modeNumber(mode: Mode): number {
  switch (mode) {
    case "bridge":
      return 1;
    case "private":
      return 2;
    default:
      return unreachable(mode);
  }
}

test("unreachable() throws for a value that no type foresaw", () => {
  const texts = ["bridge", "private", "ipvlan"].filter(isMode);
  expect(texts.slice(0, 2).map(modeNumber)).toEqual([1, 2]);
  expect(() => texts.map(modeNumber)).toThrow('Cannot go on: unexpected value "ipvlan"');
});

import { expect, test } from "bun:test";

import { DecodeError } from "../../../src/base/decode.ts";
import { CniError, encodeError, toCniError } from "../../../src/cni/error.ts";

test("toCniError() passes a CniError on as it is", () => {
  const error = new CniError(11, "later", "why");
  expect(toCniError(error)).toBe(error);
});

test("toCniError() calls an unknown error internal and tells its causes", () => {
  const error = toCniError(new Error("Cannot add pod", { cause: new Error("disk full") }));
  expect([error.code, error.message]).toEqual([999, "Cannot add pod: disk full"]);
});

test("toCniError() calls what does not decode an invalid configuration", () => {
  expect(toCniError(new DecodeError("ipam.ranges", "it must be a list")).code).toBe(7);
});

test("toCniError() keeps the code of the failure that undoing could not undo", () => {
  const error = toCniError(new SuppressedError(new Error("still there"), new CniError(7, "wrong", "see here")));
  expect(error.code).toBe(7);
  expect(error.details).toBe("see here");
  expect(error.message).toStartWith("wrong; ");
  expect(error.message).toContain("still there");
});

test("encodeError() leaves out details that say nothing", () => {
  expect(encodeError(new CniError(7, "wrong"), "1.0.0")).toEqual({ cniVersion: "1.0.0", code: 7, msg: "wrong" });
  expect(encodeError(new CniError(7, "wrong", ""), "1.0.0")).toEqual({ cniVersion: "1.0.0", code: 7, msg: "wrong" });
  const told = encodeError(new CniError(4, "invalid characters in containerID", "-x"), "0.4.0");
  expect(told).toEqual({ cniVersion: "0.4.0", code: 4, msg: "invalid characters in containerID", details: "-x" });
});

test("encodeError() joins causes, and leaves a message without any as it came", () => {
  const joined = new CniError(6, "could not parse prevResult", undefined, { cause: new Error("no ips") });
  expect(encodeError(joined, "1.0.0")["msg"]).toBe("could not parse prevResult: no ips");
  expect(encodeError(new CniError(100, "first line\nsecond line"), "1.0.0")["msg"]).toBe("first line\nsecond line");
});

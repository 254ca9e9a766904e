import { expect, test } from "bun:test";

import { parseDemoOptions } from "../../../src/operator/demo/options.ts";
import { UsageError } from "../../../src/operator/usage.ts";

test("parseDemoOptions() knows what there is", () => {
  expect(parseDemoOptions([])).toEqual({ kind: "show", keep: false });
  expect(parseDemoOptions(["--keep"])).toEqual({ kind: "show", keep: true });
  expect(parseDemoOptions(["--remove", "0a1b2c"])).toEqual({ kind: "remove", id: "0a1b2c" });
  expect(parseDemoOptions(["--remove=0a1b2c"])).toEqual({ kind: "remove", id: "0a1b2c" });
  expect(parseDemoOptions(["--help"])).toEqual({ kind: "help" });
  expect(parseDemoOptions(["-h"])).toEqual({ kind: "help" });
});

test.each([
  [["--kep"], 'unknown option "--kep"'],
  [["keep"], 'unknown argument "keep"'],
  [["--keep=yes"], 'unknown option "--keep=yes"'],
  [["--remove"], 'option "--remove" needs the ID of a demo'],
  [["--remove="], 'option "--remove" needs the ID of a demo'],
  [["--remove", "../etc"], 'option "--remove": "../etc" is no ID of a demo, like "0a1b2c"'],
  [["--remove", "0A1B2C"], 'option "--remove": "0A1B2C" is no ID of a demo, like "0a1b2c"'],
  [["--keep", "--remove", "0a1b2c"], 'options "--keep" and "--remove" exclude each other'],
])("parseDemoOptions() refuses %j by name", (words, message) => {
  expect(() => parseDemoOptions(words)).toThrow(new UsageError("demo", message));
});

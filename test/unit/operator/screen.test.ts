import { expect, test } from "bun:test";

import { wantsColours } from "../../../src/operator/demo/screen.ts";

test("wantsColours() holds only on a terminal that can, and where NO_COLOR does not ask for none", () => {
  expect(wantsColours(true, { TERM: "xterm" })).toBe(true);
  expect(wantsColours(false, { TERM: "xterm" })).toBe(false);
  expect(wantsColours(true, { TERM: "dumb" })).toBe(false);
  expect(wantsColours(true, { TERM: "xterm", NO_COLOR: "1" })).toBe(false);
  // The variable counts when it is set and not empty (no-color.org).
  expect(wantsColours(true, { TERM: "xterm", NO_COLOR: "" })).toBe(true);
});

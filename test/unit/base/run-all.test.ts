import { expect, test } from "bun:test";

import { runAll } from "../../../src/base/run-all.ts";

/** Steps that say when they run; those named with a `!` fail. */
function steps(done: string[], ...names: readonly string[]): readonly (() => void)[] {
  return names.map((name) => () => {
    done.push(name);
    if (name.endsWith("!")) throw new Error(`Cannot do ${name}`, { cause: new Error("why") });
  });
}

test("runAll() runs all steps in order", () => {
  const done: string[] = [];
  runAll(steps(done, "a", "b", "c"));
  expect(done).toEqual(["a", "b", "c"]);
  expect(() => runAll([])).not.toThrow();
});

test("runAll() runs the steps after a failed one and throws its error", () => {
  const done: string[] = [];
  expect(() => runAll(steps(done, "a!", "b", "c"))).toThrow(new Error("Cannot do a!"));
  expect(done).toEqual(["a!", "b", "c"]);
});

test("runAll() throws several failures as one error that tells all, with their causes", () => {
  const done: string[] = [];
  expect(() => runAll(steps(done, "a!", "b", "c!"))).toThrow("Cannot do a!: why; Cannot do c!: why");
  expect(done).toEqual(["a!", "b", "c!"]);
});

import { describe, expect, test } from "bun:test";

import { rejection } from "../../helpers/rejection.ts";
import { missingRequirements } from "../../helpers/require.ts";

describe("what a test needs", () => {
  test("missingRequirements() gives a reason for each that is missing", async () => {
    expect(await missingRequirements(["tool:sh"])).toEqual([]);
    expect(await missingRequirements(["tool:no-such-tool"])).toEqual([
      'there is no "no-such-tool" on PATH (bun test/setup.ts)',
    ]);
  });

  test("missingRequirements() refuses a peer that no table has", async () => {
    const { message } = await rejection(missingRequirements(["peer:nobody"]));
    expect(message).toStartWith('Cannot look for the peer "nobody"');
  });
});

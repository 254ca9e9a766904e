import { describe, expect, test } from "bun:test";

import { closingLine, decodeReport, failuresInSummary, readCounts } from "../../helpers/counts.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

const report =
  '<?xml version="1.0"?>\n<testsuites name="bun test" tests="9" assertions="2" failures="1" skipped="5">\n';

describe("the closing line of a run", () => {
  test("closingLine() names the skipped only when there are some", () => {
    expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
    expect(closingLine({ passed: 3, failed: 1, skipped: 2 })).toBe("3 passed, 1 failed, 2 skipped");
  });

  test("decodeReport() counts as passed what neither failed nor was skipped", () => {
    expect(decodeReport(report)).toEqual({ passed: 3, failed: 1, skipped: 5 });
    expect(decodeReport("")).toBeUndefined();
    expect(decodeReport('<testsuites tests="1">')).toBeUndefined();
  });

  test("failuresInSummary() reads the last summary, with or without colours", () => {
    expect(failuresInSummary(" 3 pass\n 2 fail\n")).toBe(2);
    expect(failuresInSummary("\u001B[32m 3 pass\u001B[0m\n\u001B[31m 2 fail\u001B[0m\n")).toBe(2);
    expect(failuresInSummary(" 3 pass\n")).toBe(0);
  });

  test("readCounts() never lets a failed run pass", async () => {
    await using directory = await createTemporaryDirectory();
    const clean = report.replace('failures="1"', 'failures="0"');
    const path = await directory.write("report.xml", clean);
    expect(await readCounts(path, "", 0)).toEqual({ passed: 4, failed: 0, skipped: 5 });
    expect(await readCounts(path, "", 1)).toEqual({ passed: 4, failed: 1, skipped: 5 });
    expect(await readCounts(path, " 2 fail\n", 1)).toEqual({ passed: 4, failed: 2, skipped: 5 });
    expect(await readCounts(directory.join("none.xml"), "", 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

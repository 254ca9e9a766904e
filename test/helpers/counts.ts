import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";

/** How many tests went how. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The one line that says how a run went. */
export function closingLine(counts: Counts): string {
  const line = `${counts.passed} passed, ${counts.failed} failed`;
  return counts.skipped === 0 ? line : `${line}, ${counts.skipped} skipped`;
}

/**
 * Counts from the JUnit report of a run, from what it wrote to the terminal, and from its exit code. The report leaves
 * out what fails outside a test (a file that does not load, an error between tests), which the terminal's summary
 * counts; a run that failed without either, or left no report, counts as one failure.
 */
export async function readCounts(path: string, terminal: string, exitCode: number): Promise<Counts> {
  const report = existsSync(path) ? decodeReport(await readFile(path, "utf8")) : undefined;
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const failed = Math.max(report.failed, failuresInSummary(terminal), exitCode === 0 ? 0 : 1);
  return { ...report, failed };
}

/** The number that stands before `fail` in the last summary of bun test, 0 when there is none. */
export function failuresInSummary(terminal: string): number {
  const summaries = Bun.stripANSI(terminal).matchAll(/^ +(\d+) fail$/gm);
  return Number([...summaries].at(-1)?.[1] ?? 0);
}

/** The totals that the report's outermost element has, undefined when it has none. */
export function decodeReport(xml: string): Counts | undefined {
  const element = /<testsuites\b([^>]*)>/.exec(xml)?.[1];
  if (element === undefined) return undefined;
  const total = countOf(element, "tests");
  const failed = countOf(element, "failures");
  const skipped = countOf(element, "skipped");
  if (total === undefined || failed === undefined || skipped === undefined) return undefined;
  return { passed: total - failed - skipped, failed, skipped };
}

function countOf(attributes: string, name: string): number | undefined {
  const digits = new RegExp(`\\b${name}="(\\d+)"`).exec(attributes)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

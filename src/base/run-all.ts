import { errorText } from "./error.ts";

/** Runs every step, also after one has failed, and throws what failed: one error as it is, several as one. */
export function runAll(steps: readonly (() => void)[]): void {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, failures.map(errorText).join("; "));
}

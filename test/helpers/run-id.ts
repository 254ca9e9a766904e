import { randomBytes } from "node:crypto";

/** The environment variable that carries the run's id into everything a test starts. */
export const runIdVariable = "TARTAN_TEST_RUN";

/**
 * The id of this test run. Every namespace, directory and process of the run carries it, so that the leak check finds
 * what this run left and never what another run beside it is still using. test/run.ts sets it; `bun test` alone gets
 * one by its process id.
 */
export function runId(): string {
  return process.env[runIdVariable] ?? `tt${process.pid.toString(36)}`;
}

/** The environment of a child: this process's own, marked with the run, and what is added. */
export function childEnvironment(added: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
  return { ...process.env, [runIdVariable]: runId(), ...added };
}

/** A name of this run that no other thing has: short, because kernel names are. */
export function uniqueName(): string {
  return `${runId()}-${randomHex(4)}`;
}

/** Random bytes in hex. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}

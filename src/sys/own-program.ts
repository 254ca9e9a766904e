import { childEnvironment } from "./child.ts";

/**
 * Runs this executable once more, as the program and with the arguments given, and returns what it writes to its standard
 * output. Rejects with an Error that quotes its standard error when it fails or takes too long.
 */
export async function runOwnProgram(words: readonly string[], timeoutMilliseconds: number): Promise<string> {
  const child = Bun.spawn([process.execPath, ...words], {
    // The first word names the program only for an executable that is called by its own name.
    argv0: "tartan",
    env: childEnvironment(process.env, {}),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: timeoutMilliseconds,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (exitCode === 0) return stdout;
  const state = child.signalCode === null ? `exit ${exitCode}` : `killed after ${timeoutMilliseconds / 1000} s`;
  throw new Error(`${state}${stderr.trim() === "" ? "" : `, ${stderr.trim()}`}`);
}

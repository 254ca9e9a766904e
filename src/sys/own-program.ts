import { childEnvironment } from "./child.ts";
import { runProgram } from "./program.ts";

/**
 * Runs this executable once more, as the program and with the arguments given, and returns what it writes to its standard
 * output. Rejects with an Error that quotes its standard error when it fails or takes too long.
 */
export async function runOwnProgram(words: readonly string[], timeoutMilliseconds: number): Promise<string> {
  const environment = childEnvironment(process.env, {});
  // The first word names the program only for an executable that is called by its own name.
  return await runProgram([process.execPath, ...words], { environment, timeoutMilliseconds, argv0: "tartan" });
}

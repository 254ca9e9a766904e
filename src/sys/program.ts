/** How another program is run to its end. */
interface ProgramOptions {
  readonly environment: Record<string, string>;
  readonly timeoutMilliseconds: number;
  /** What the program is called by, when that is not its path. */
  readonly argv0?: string;
}

/**
 * Runs a program without anything to read and returns what it writes to its standard output. Rejects with an Error that
 * quotes its standard error when it fails or takes too long, and that says so when there is no such program.
 */
export async function runProgram(argv: readonly string[], options: ProgramOptions): Promise<string> {
  const { environment, timeoutMilliseconds, argv0 } = options;
  const child = Bun.spawn([...argv], {
    ...(argv0 === undefined ? {} : { argv0 }),
    env: environment,
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

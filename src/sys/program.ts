/** How another program is run to its end. */
interface ProgramOptions {
  readonly environment: Record<string, string>;
  readonly timeoutMilliseconds: number;
  /** What the program is called by, when that is not its path. */
  readonly argv0?: string;
}

/** How long the output of a program that took too long is waited for. */
const lateMs = 200;
const nothing = ["", ""] as const;

/**
 * Runs a program without anything to read and returns what it writes to its standard output. Rejects with an Error that
 * quotes its standard error when it fails or takes too long, and that says so when there is no such program.
 */
export async function runProgram(argv: readonly string[], options: ProgramOptions): Promise<string> {
  const { environment, timeoutMilliseconds, argv0 } = options;
  const began = performance.now();
  const child = Bun.spawn([...argv], {
    ...(argv0 === undefined ? {} : { argv0 }),
    env: environment,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: timeoutMilliseconds,
    killSignal: "SIGKILL",
  });
  process.once("exit", stop);
  const output = Promise.all([child.stdout.text(), child.stderr.text()]);
  const exitCode = await child.exited;
  process.off("exit", stop);
  const late = child.signalCode === "SIGKILL" && performance.now() - began >= timeoutMilliseconds;
  // What it has started itself may live on with its end of the pipes.
  const [stdout, stderr] = late ? await Promise.race([output, Bun.sleep(lateMs).then(() => nothing)]) : await output;
  if (exitCode === 0) return stdout;
  const ended = child.signalCode === null ? `exit ${exitCode}` : `killed by ${child.signalCode}`;
  const state = late ? `killed after ${timeoutMilliseconds / 1000} s` : ended;
  throw new Error(`${state}${stderr.trim() === "" ? "" : `, ${stderr.trim()}`}`);

  /** When this process ends, nobody waits for it any more. */
  function stop(): void {
    child.kill("SIGTERM");
  }
}

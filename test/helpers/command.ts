import { childEnvironment } from "./run-id.ts";

/** How a child is run. */
export interface CommandOptions {
  readonly stdin?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  /** The exit code wanted; any other is an error. */
  readonly exitCode?: number | "any";
}

/** What a child did. `exitCode` is 128 plus the signal's number when a signal ended it, as in a shell. */
export interface CommandResult {
  readonly argv: readonly string[];
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const defaultTimeoutMs = 20_000;

/**
 * Runs a program to its end and returns what it wrote. Throws when it exits otherwise than wanted or takes too long, and
 * the error shows all that it wrote; when all goes well nothing is printed.
 */
export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const child = Bun.spawn([...argv], {
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: childEnvironment(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const stdout = collectOutput(child.stdout);
  const stderr = collectOutput(child.stderr);
  // The end of the output is waited for as well: a grandchild that holds the pipe open is a child left behind.
  const ended = Promise.all([child.exited, stdout.ended, stderr.ended]);
  const inTime = await endsWithin(ended, timeoutMs);
  if (!inTime) {
    const state = child.exitCode === null ? "it still runs" : "it ended, but something it started holds its output";
    child.kill("SIGKILL");
    await Promise.all([stdout.cancel(), stderr.cancel()]);
    throw new Error(
      `Cannot run ${quoteArgv(argv)}: ${state} after ${timeoutMs} ms\n${describeOutput(stdout.text(), stderr.text())}`,
    );
  }
  const exitCode = await child.exited;
  const wanted = options.exitCode ?? 0;
  if (wanted !== "any" && exitCode !== wanted) {
    throw new Error(
      `Cannot run ${quoteArgv(argv)}: exit code ${exitCode}, wanted ${wanted}\n${describeOutput(stdout.text(), stderr.text())}`,
    );
  }
  return { argv, exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

/** The words of a command as one could type them. */
export function quoteArgv(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w./:=@,+%-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(" ");
}

/** What a child wrote, headed by the names of its streams. */
export function describeOutput(stdout: string, stderr: string): string {
  return `--- stdout\n${stdout.trimEnd()}\n--- stderr\n${stderr.trimEnd()}`;
}

/** True when the promise settles in time. Its own error is thrown on. */
export async function endsWithin(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const limit = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => limit.resolve(false), timeoutMs);
  try {
    return await Promise.race([work.then(() => true), limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Output that is still being written: what has come so far can be read at any time. */
export interface OutputCollector {
  readonly ended: Promise<void>;
  text(): string;
  cancel(): Promise<void>;
}

/** Reads a stream to its end in the background. */
export function collectOutput(stream: ReadableStream<Uint8Array>): OutputCollector {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  return {
    ended: readAll(reader, chunks),
    text: () => Buffer.concat(chunks).toString("utf8"),
    cancel: () => reader.cancel(),
  };
}

interface OutputReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}

async function readAll(reader: OutputReader, chunks: Uint8Array[]): Promise<void> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    if (value !== undefined) chunks.push(value);
  }
}

import { encodeText } from "../base/text.ts";
import { SyscallError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { writeAll } from "./file.ts";

/** A program that is just being written cannot be executed (ETXTBSY): it is tried again for 5 s, as long as libcni does. */
const busyAttempts = 50;
const busyPauseMilliseconds = 100;

/** What a program that has ended left. */
export interface CommandOutcome {
  /** The exit code, or the name of the signal that ended it. */
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, gives it `stdin` and waits for what it writes; what it writes to stderr is passed on to
 * ours. Throws Bun's error with the errno's name as `code` when it cannot be started.
 */
export function runCommand(
  argv: readonly string[],
  options: { readonly env: Readonly<Record<string, string | undefined>>; readonly stdin: string },
): CommandOutcome {
  const stdin = encodeText(options.stdin);
  for (let attempt = 1; ; attempt++) {
    try {
      const child = Bun.spawnSync([...argv], { env: options.env, stdin, stdout: "pipe", stderr: "pipe" });
      if (child.stderr.length > 0) passOn(child.stderr);
      const status = child.signalCode ?? child.exitCode;
      return { status, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
    } catch (error) {
      if (attempt === busyAttempts || !isBusy(error)) throw error;
      Bun.sleepSync(busyPauseMilliseconds);
    }
  }
}

/** What the program has done is done, also when nobody reads what it said. */
function passOn(stderr: Uint8Array): void {
  try {
    writeAll(new Fd(2), stderr, "stderr");
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
  }
}

/** The path of an executable file of this name in the first directory that has one. */
export function findProgram(name: string, directories: readonly string[]): string | undefined {
  return Bun.which(name, { PATH: directories.join(":") }) ?? undefined;
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ETXTBSY";
}

import { encodeText } from "../base/text.ts";
import { SyscallError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { rareLibc } from "./libc.ts";
import { writeAll } from "./file.ts";

/** A program that is just being written cannot be executed (ETXTBSY): it is tried again for 5 s, as long as libcni does. */
const busyAttempts = 50;
const busyPauseMilliseconds = 100;

/** What the kernel says of a program that cannot be started, as far as it needs other words than the errno's name. */
const startProblems: Readonly<Record<string, string>> = {
  ENOENT: "it, or the interpreter that its first line names, is not there",
  EACCES: "permission denied",
  ENOEXEC: "exec format error",
};

/** A program that cannot be started. */
export class StartError extends Error {
  override readonly name = "StartError";

  constructor(program: string, code: string, cause: unknown) {
    const known = startProblems[code];
    super(
      `Cannot execute ${program}${known === undefined ? "" : `: ${known} (${code})`}`,
      known === undefined ? { cause } : {},
    );
  }
}

/** What a program that has ended left. */
export interface CommandOutcome {
  /** The exit code, or the name of the signal that ended it. */
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, gives it `stdin` and waits for what it writes; what it writes to stderr is passed on to
 * ours. Throws a StartError when it cannot be started.
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
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      if (attempt === busyAttempts || code !== "ETXTBSY") throw new StartError(argv[0] ?? "", code, error);
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

/**
 * The path of an executable file of this name in the first directory that has one, or else of one that nobody may execute:
 * that says more than that there is none.
 */
export function findProgram(name: string, directories: readonly string[]): string | undefined {
  const program = Bun.which(name, { PATH: directories.join(":") });
  if (program !== null) return program;
  return directories.map((directory) => `${directory}/${name}`).find(isFile);
}

/** True for what is there and is no directory. */
function isFile(path: string): boolean {
  const { access } = rareLibc();
  return !path.includes("\0") && access(path, 0) === 0 && access(`${path}/.`, 0) !== 0;
}

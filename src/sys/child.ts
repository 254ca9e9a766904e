/** Programs run as children in a network namespace. */
import { closeSync, openSync } from "node:fs";
import { inNetns, type Netns } from "./netns.ts";

/** A program to run in a network namespace. */
export interface ChildSpec {
  /** The program's path and its arguments. */
  readonly argv: readonly string[];
  readonly netns: Netns;
  /** Added to the environment that childEnvironment leaves of ours. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What a child that ended has left. */
export interface ChildResult {
  /** 128 plus the signal's number when a signal ended it, as in a shell. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A child that goes on running, also after this process. */
export interface BackgroundChild {
  readonly pid: number;
  readonly ended: Promise<number>;
  /** Lets this process end before the child; until then it stays to hear of the child's end, as a parent has to. */
  release(): void;
}

/**
 * Runs a program to its end, and kills it when that takes too long. Only the fork happens inside the namespace: the
 * runtime's threads, which read what the child writes, stay outside (the child of a thread starts in its namespace).
 */
export async function runChild(spec: ChildSpec, stdin: string, timeoutMilliseconds: number): Promise<ChildResult> {
  const child = inNetns(spec.netns, () =>
    Bun.spawn([...spec.argv], {
      env: childEnvironment(process.env, spec.environment),
      stdin: new TextEncoder().encode(stdin),
      stdout: "pipe",
      stderr: "pipe",
      timeout: timeoutMilliseconds,
      killSignal: "SIGKILL",
    }),
  );
  const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { exitCode, stdout, stderr };
}

/** Starts a program in a session of its own, so that Ctrl-C in our terminal does not reach it; it writes to a file. */
export function startChild(spec: ChildSpec, logPath: string): BackgroundChild {
  const log = openSync(logPath, "a", 0o644);
  try {
    const child = inNetns(spec.netns, () =>
      Bun.spawn([...spec.argv], {
        env: childEnvironment(process.env, spec.environment),
        stdin: "ignore",
        stdout: log,
        stderr: log,
        detached: true,
      }),
    );
    return { pid: child.pid, ended: child.exited, release: () => child.unref() };
  } finally {
    closeSync(log);
  }
}

/**
 * An environment for a child of ours: without the variables that steer Bun itself (BUN_BE_BUN makes an executable the
 * bun command line), flanneld (FLANNELD_…) or a plugin (CNI_…), which are given on purpose or not at all.
 */
export function childEnvironment(
  own: Readonly<Record<string, string | undefined>>,
  added: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && !/^(?:BUN_|FLANNELD_|CNI_)/.test(name)) environment[name] = value;
  }
  return { ...environment, ...added };
}

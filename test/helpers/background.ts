import { readFileSync } from "node:fs";

import { collectOutput, describeOutput, endsWithin, quoteArgv } from "./command.ts";
import type { OutputCollector } from "./command.ts";
import { childEnvironment } from "./run-id.ts";

/** How a program that goes on running is started and ended. */
export interface BackgroundOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** How long it may take to end after SIGTERM before it is killed. */
  readonly stopMs?: number;
  /** True when what is started is a wrapper that waits for its one child and ends as the child did: signals go to it. */
  readonly wrapped?: boolean;
}

/** A program that runs beside the test and is ended, by its own process id, when it goes out of scope. */
export class BackgroundProcess implements AsyncDisposable {
  readonly argv: readonly string[];
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #stdout: OutputCollector;
  readonly #stderr: OutputCollector;
  readonly #stopMs: number;
  readonly #wrapped: boolean;

  constructor(argv: readonly string[], options: BackgroundOptions = {}) {
    this.argv = argv;
    this.#stopMs = options.stopMs ?? 5000;
    this.#wrapped = options.wrapped ?? false;
    this.#child = Bun.spawn([...argv], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: childEnvironment(options.env),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.#stdout = collectOutput(this.#child.stdout);
    this.#stderr = collectOutput(this.#child.stderr);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The exit code, or undefined while it runs. */
  get exitCode(): number | undefined {
    return this.#child.exitCode ?? undefined;
  }

  /** Settles when it has ended. */
  get ended(): Promise<number> {
    return this.#child.exited;
  }

  /** What it has written so far. */
  get stdout(): string {
    return this.#stdout.text();
  }

  /** What it has written so far. */
  get stderr(): string {
    return this.#stderr.text();
  }

  /** Both streams, for the message of a failure. */
  describe(): string {
    return `${quoteArgv(this.argv)}\n${describeOutput(this.stdout, this.stderr)}`;
  }

  /** Waits until `ready` answers true. Throws with all output when the program ends before or the time is over. */
  async waitUntil(what: string, ready: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      if (await ready()) return;
      if (this.exitCode !== undefined) {
        throw new Error(`Cannot wait until ${what}: exit code ${this.exitCode}\n${this.describe()}`);
      }
      if (Date.now() > deadline) {
        throw new Error(`Cannot wait until ${what}: not so after ${timeoutMs} ms\n${this.describe()}`);
      }
      await Bun.sleep(20);
    }
  }

  /** Sends a signal and goes on. */
  signal(name: NodeJS.Signals): void {
    for (const pid of this.#targets()) process.kill(pid, name);
  }

  /** Asks it to end, kills it when it does not, and returns its exit code. */
  async stop(name: NodeJS.Signals = "SIGTERM"): Promise<number> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.signal(name);
    if (!(await endsWithin(this.#child.exited, this.#stopMs))) this.signal("SIGKILL");
    const exitCode = await this.#child.exited;
    // A grandchild may hold the pipes: what it would still write is of no interest.
    if (!(await endsWithin(Promise.all([this.#stdout.ended, this.#stderr.ended]), 500))) {
      await Promise.all([this.#stdout.cancel(), this.#stderr.cancel()]);
    }
    return exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #targets(): readonly number[] {
    const { pid } = this.#child;
    if (!this.#wrapped) return [pid];
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return children === "" ? [pid] : children.split(" ").map(Number);
  }
}

/** Starts a program that goes on running. */
export function startProcess(argv: readonly string[], options: BackgroundOptions = {}): BackgroundProcess {
  return new BackgroundProcess(argv, options);
}

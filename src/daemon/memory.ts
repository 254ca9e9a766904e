/** What keeps the daemon small: it runs on every node, and mostly does nothing. */
import type { SourceState } from "../lease/lease.ts";
import { SyscallError } from "../sys/errno.ts";
import { executeAnew } from "../sys/exec.ts";
import { releaseCode } from "../sys/memory.ts";

/** The compiler for code that runs hot costs a daemon 8 MB and gives it nothing; it can be left out only from outside. */
const smallSettings: Readonly<Record<string, string>> = { BUN_JSC_useDFGJIT: "0" };

/** How long after the network is up nothing of the start is needed any more. */
const settleMs = 3000;

/** Starts this process anew with settings that only the environment can give, unless it has them; it takes 10 ms. */
export function startSmall(): void {
  const isCompiled = process.argv[1]?.startsWith("/$bunfs/") === true;
  const missing = Object.keys(smallSettings).filter((name) => process.env[name] === undefined);
  if (!isCompiled || missing.length === 0) return;
  const environment: Record<string, string> = { ...smallSettings };
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) environment[name] = value;
  try {
    executeAnew([process.argv0, ...process.argv.slice(2)], environment);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    // Where /proc is not what it should be, it runs as it is.
  }
}

/** A first look at so many leases is what takes the most memory in a daemon's life. */
const manyLeases = 1000;

/** Gives back what only the start has needed. */
export class Settling implements Disposable {
  #timer: NodeJS.Timeout | undefined;
  #prepared = false;
  #begun = false;

  /** A look is about to be made; where the first one will be a large one, it gets the room that reading took. */
  prepare(state: SourceState): void {
    if (this.#prepared || state.kind === "unknown") return;
    this.#prepared = true;
    if (state.leases.size > manyLeases) giveBack();
  }

  /** The network is up. May be called again and again. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#timer = setTimeout(giveBack, settleMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

function giveBack(): void {
  Bun.gc(true);
  try {
    releaseCode();
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
  }
}

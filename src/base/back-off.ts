/** How long to wait after a failure, and the longest that this grows to as failures follow one another. */
const firstWaitMs = 1000;
const longestWaitMs = 30_000;

/** A wait of at most so long, of which half is drawn, so that the nodes of a cluster do not all come back at once. */
export function drawWait(longestMs: number): number {
  return longestMs * (0.5 + Math.random() / 2);
}

interface Failure {
  readonly text: string;
  readonly count: number;
  readonly retryAt: number;
}

/**
 * Remembers what failed and when each is to be tried again: after 1 s, then twice as long each time, up to 30 s. What is
 * remembered is found by a text. Times are milliseconds of any one clock.
 */
export class BackOff {
  readonly #failures = new Map<string, Failure>();
  readonly #draw: (longestMs: number) => number;

  /** What others than this node feel is waited for with `drawWait`. */
  constructor(draw: (longestMs: number) => number = (longestMs) => longestMs) {
    this.#draw = draw;
  }

  /** True when nothing is remembered. */
  get isEmpty(): boolean {
    return this.#failures.size === 0;
  }

  /** True unless it failed and its wait is not over. */
  isDue(key: string, now: number): boolean {
    const failure = this.#failures.get(key);
    return failure === undefined || failure.retryAt <= now;
  }

  /** Takes note of a failure. True when it is news: the first one, or with another text than the last. */
  fail(key: string, text: string, now: number): boolean {
    const before = this.#failures.get(key);
    const count = (before?.count ?? 0) + 1;
    const wait = this.#draw(Math.min(firstWaitMs * 2 ** (count - 1), longestWaitMs));
    this.#failures.set(key, { text, count, retryAt: now + wait });
    return before?.text !== text;
  }

  /** The text of the last failure, undefined when there was none. */
  failureOf(key: string): string | undefined {
    return this.#failures.get(key)?.text;
  }

  /** It succeeded, or is no longer wanted: its next failure counts as the first. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Forgets all but these. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#failures.keys()) if (!keys.has(key)) this.#failures.delete(key);
  }

  /** When the first wait ends, undefined when nothing waits. */
  nextAt(): number | undefined {
    let next: number | undefined;
    for (const { retryAt } of this.#failures.values()) next = Math.min(next ?? retryAt, retryAt);
    return next;
  }
}

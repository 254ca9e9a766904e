import type { Interruption } from "./interruption.ts";

/** What a wait waits for. */
export interface Wait {
  /** For the error: `node1's daemon writes subnet.env`. */
  readonly what: string;
  /** True when it is so. */
  readonly look: () => boolean;
  /** Calls back whenever it is worth another look, until it is disposed of. */
  readonly watch: (lookAgain: () => void) => Disposable;
  /** Settles when there is nothing to wait for any more, with the reason. */
  readonly failed: Promise<Error>;
  readonly timeoutMilliseconds: number;
}

/** Waits until something is so: looks at once and after each event. Throws when it fails, takes too long, or on a signal. */
export async function waitUntil(wait: Wait, interruption: Interruption): Promise<void> {
  const done = Promise.withResolvers<undefined>();
  function lookAgain(): void {
    try {
      if (wait.look()) done.resolve(undefined);
    } catch (error) {
      done.reject(error);
    }
  }
  using scope = new DisposableStack();
  scope.use(wait.watch(lookAgain));
  lookAgain();
  const seconds = wait.timeoutMilliseconds / 1000;
  const late = new Error(`Cannot wait until ${wait.what}: not so after ${seconds} s`);
  const timer = setTimeout(() => done.reject(late), wait.timeoutMilliseconds);
  try {
    const failure = await Promise.race([done.promise, wait.failed, interruption.happened]);
    if (failure !== undefined) throw failure;
  } finally {
    clearTimeout(timer);
  }
}

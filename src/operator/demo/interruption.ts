/** Signals that end a program, by number: what a shell reports is 128 plus it. */
const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

type EndingSignal = keyof typeof signalNumbers;

/** Thrown where work stops because a signal asked for it. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  readonly exitCode: number;

  constructor(signal: EndingSignal) {
    super(`interrupted by ${signal}`);
    this.exitCode = 128 + signalNumbers[signal];
  }
}

/** Turns the signals that end a program into a wish that its work looks at; what was begun can be undone then. */
export class Interruption implements Disposable {
  /** Settles at the first signal; never rejects. */
  readonly happened: Promise<InterruptedError>;
  #error: InterruptedError | undefined;
  readonly #handlers: readonly (readonly [EndingSignal, () => void])[];

  constructor() {
    const { promise, resolve } = Promise.withResolvers<InterruptedError>();
    this.happened = promise;
    this.#handlers = (["SIGHUP", "SIGINT", "SIGTERM"] as const).map((signal) => [
      signal,
      (): void => {
        this.#error ??= new InterruptedError(signal);
        resolve(this.#error);
      },
    ]);
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  /** Lets signals that have come be handled, then throws an InterruptedError when there was one. */
  async check(): Promise<void> {
    await Bun.sleep(0);
    if (this.#error !== undefined) throw this.#error;
  }

  [Symbol.dispose](): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }
}

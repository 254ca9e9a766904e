import { libc } from "./libc.ts";

/**
 * A file descriptor that somebody owns: hold it with `using`, and it is closed when the block is left. Descriptors are
 * never passed around as bare numbers.
 */
export class Fd implements Disposable {
  #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  /** The number for a system call. Throws when the descriptor was closed before. */
  get number(): number {
    if (this.#number < 0) throw new Error("Cannot use file descriptor: it is closed");
    return this.#number;
  }

  [Symbol.dispose](): void {
    if (this.#number < 0) return;
    // Linux releases the number even when close reports an error, so that there is nothing to repeat (close(2)).
    libc.close(this.#number);
    this.#number = -1;
  }
}

import { ShortReadError } from "../base/bytes.ts";

/** A state in which the daemon must not go on: exit 1 with this line, and the data plane stays. */
export class FatalError extends Error {
  override readonly name = "FatalError";
}

/** True for what must end the daemon: a FatalError, and what only a mistake of this program can be. */
export function mustEnd(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    error instanceof FatalError ||
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error instanceof ShortReadError
  );
}

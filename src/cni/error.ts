import type { JsonObject } from "../base/decode.ts";
import { DecodeError } from "../base/decode.ts";
import { errorText } from "../base/error.ts";
import { LockTimeoutError } from "../sys/lock.ts";

/** Error codes of the CNI specification 1.1.0 ("Error"), and the reference library's for what the table leaves out. */
export const cniCode = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  /** The reference's own: the network namespace of CNI_NETNS cannot be used. */
  invalidNetns: 8,
  tryAgainLater: 11,
  /** STATUS: no ADD can be served. */
  notAvailable: 50,
  /** STATUS: no ADD can be served, and what is there may suffer. */
  limited: 51,
  /** From 100 on codes are the plugin's own: a program that is not built yet. */
  notBuilt: 100,
  /** The reference's own: everything that has no code. */
  internal: 999,
} as const;

/** A failure as the runtime is to see it. */
export class CniError extends Error {
  override readonly name = "CniError";
  readonly code: number;
  readonly details: string | undefined;

  constructor(code: number, message: string, details?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/**
 * Any error as a CniError: a configuration that does not decode is an invalid one, a lock that is held passes by itself,
 * and the rest is internal. Where undoing failed as well, the first failure's code counts.
 */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof SuppressedError) {
    const { code, details } = toCniError(error.suppressed);
    return new CniError(code, errorText(error), details);
  }
  if (error instanceof LockTimeoutError) return new CniError(cniCode.tryAgainLater, error.message);
  const code = error instanceof DecodeError ? cniCode.invalidConfig : cniCode.internal;
  return new CniError(code, errorText(error));
}

/**
 * The error object of the specification. `cniVersion` is the configuration's; of a delegate's error the message stays as
 * it came, line ends included.
 */
export function encodeError(error: CniError, cniVersion: string): JsonObject {
  const msg = error.cause === undefined ? error.message : errorText(error);
  const { code, details } = error;
  return details === undefined || details === "" ? { cniVersion, code, msg } : { cniVersion, code, msg, details };
}

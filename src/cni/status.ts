/** What the answers to STATUS have in common. */
import { errorText } from "../base/error.ts";
import { CniError, cniCode } from "./error.ts";

/** How the text begins that says that all addresses are taken: host-local's, in ADD and in STATUS alike. */
const exhaustion = "no IP addresses available in range set";

/** Runs what ADD would need to succeed, and turns its failure into code 50: somebody has to act. */
export function notAvailableUnless<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof CniError && (error.code === cniCode.notAvailable || error.code === cniCode.limited))
      throw error;
    throw new CniError(cniCode.notAvailable, errorText(error), error instanceof CniError ? error.details : undefined);
  }
}

/** STATUS of an IPAM plugin whose ranges are all full. */
export function exhaustionError(rangeSet: string): CniError {
  return new CniError(cniCode.notAvailable, `${exhaustion}: ${rangeSet}`);
}

/** True for such an error, also from a program. */
export function isExhaustion(error: unknown): boolean {
  return error instanceof CniError && error.code === cniCode.notAvailable && error.message.startsWith(exhaustion);
}

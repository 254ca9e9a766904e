import { X509Certificate } from "node:crypto";

/** When the first certificate of a PEM text ends, in milliseconds since the epoch. Throws an Error for what is none. */
export function certificateEnd(pem: string): number {
  return new X509Certificate(pem).validToDate.getTime();
}

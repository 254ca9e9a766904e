import { createPrivateKey, X509Certificate } from "node:crypto";

/** When the first certificate of a PEM text ends, in milliseconds since the epoch. Throws an Error for what is none. */
export function certificateEnd(pem: string): number {
  return new X509Certificate(pem).validToDate.getTime();
}

/** Throws an Error for what is no private key in PEM, or one that a passphrase keeps. */
export function checkPrivateKey(pem: string): void {
  createPrivateKey(pem);
}

/** True when the first certificate of a PEM text is for this private key. Throws an Error for what is neither. */
export function isKeyOf(certificate: string, key: string): boolean {
  return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
}

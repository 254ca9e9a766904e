import { findText } from "../../sys/file.ts";

/** Where distributions keep the certificates that they trust, in the order in which Go's crypto/x509 looks for them. */
const files = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * The certificates, in PEM, that this system trusts, which count where nothing else is said: those of SSL_CERT_FILE, else
 * of the first file that there is, as in client-go. Undefined where there is none, as in our own image.
 */
export function findSystemRoots(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const { SSL_CERT_FILE: named = "" } = env;
  if (named !== "") return findText(named);
  for (const file of files) {
    const text = findText(file);
    if (text !== undefined) return text;
  }
  return undefined;
}

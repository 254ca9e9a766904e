import { runCommand } from "./command.ts";
import type { TemporaryDirectory } from "./temp.ts";

/** A certificate with its key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certPath: string;
  readonly keyPath: string;
}

/** Who signs certificates, made with openssl; the files lie in the directory given. */
export class CertificateAuthority {
  readonly #directory: TemporaryDirectory;
  readonly #name: string;
  readonly own: Certificate;

  constructor(directory: TemporaryDirectory, name: string, own: Certificate) {
    this.#directory = directory;
    this.#name = name;
    this.own = own;
  }

  /**
   * A certificate for a subject like `/O=system:masters/CN=admin`, with names like `DNS:a` and `IP:1.2.3.4`; one for less
   * than no day has ended.
   */
  async sign(file: string, subject: string, names: readonly string[] = [], days = 3): Promise<Certificate> {
    const paths = pathsOf(this.#directory, file);
    const request = this.#directory.join(`${file}.csr`);
    const extensions = await this.#directory.write(
      `${file}.ext`,
      [
        "extendedKeyUsage=serverAuth,clientAuth",
        ...(names.length === 0 ? [] : [`subjectAltName=${names.join(",")}`]),
        "",
      ].join("\n"),
    );
    await openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", paths.key, "-out", request, "-subj", subject);
    const ca = [
      "-CA",
      this.own.certPath,
      "-CAkey",
      this.own.keyPath,
      "-CAserial",
      this.#directory.join(`${this.#name}.srl`),
    ];
    const how = ["-CAcreateserial", "-days", String(days), "-extfile", extensions];
    await openssl("x509", "-req", "-in", request, "-out", paths.cert, ...ca, ...how);
    return await readCertificate(paths);
  }
}

/** Makes an authority whose files begin with `name`; with names of hosts its certificate could serve one as well. */
export async function createAuthority(
  directory: TemporaryDirectory,
  name = "ca",
  hosts: readonly string[] = [],
): Promise<CertificateAuthority> {
  const paths = pathsOf(directory, name);
  const what = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", `/CN=${name}`];
  const names = hosts.length === 0 ? [] : ["-addext", `subjectAltName=${hosts.join(",")}`];
  await openssl("req", ...what, ...names, "-keyout", paths.key, "-out", paths.cert);
  return new CertificateAuthority(directory, name, await readCertificate(paths));
}

interface Paths {
  readonly cert: string;
  readonly key: string;
}

function pathsOf(directory: TemporaryDirectory, file: string): Paths {
  return { cert: directory.join(`${file}.crt`), key: directory.join(`${file}.key`) };
}

async function readCertificate({ cert, key }: Paths): Promise<Certificate> {
  return { cert: await Bun.file(cert).text(), key: await Bun.file(key).text(), certPath: cert, keyPath: key };
}

async function openssl(...words: readonly string[]): Promise<void> {
  await runCommand(["openssl", ...words]);
}

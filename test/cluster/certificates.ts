import { runCommand } from "../helpers/command.ts";
import type { TemporaryDirectory } from "../helpers/temp.ts";
import { addresses } from "./addresses.ts";

/** Who a client's certificate says it is. */
export interface Identity {
  readonly user: string;
  readonly group?: string;
}

/** A certificate authority of one cluster, and the files of what it has signed. */
export class Certificates {
  readonly #directory: TemporaryDirectory;

  constructor(directory: TemporaryDirectory) {
    this.#directory = directory;
  }

  /** The path of a certificate or, with the ending `.key`, of its key. */
  path(file: string): string {
    return this.#directory.join("pki", file);
  }

  /** Makes the authority, and the API server's certificate and key for signing tokens. */
  async createServer(): Promise<void> {
    await this.#directory.directory("pki");
    const selfSigned = ["req", "-x509", "-days", "30", "-subj", "/CN=cluster", ...this.#newKey("ca")];
    await this.#openssl([...selfSigned, "-out", this.path("ca.crt")]);
    const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
    const ips = [addresses.apiServer, addresses.apiService, "127.0.0.1"];
    const alternatives = [...names.map((name) => `DNS:${name}`), ...ips.map((ip) => `IP:${ip}`)].join();
    await this.#sign("apiserver", "/CN=kube-apiserver", `subjectAltName=${alternatives}`);
    await this.#openssl(["genrsa", "-out", this.path("tokens.key"), "2048"]);
  }

  /** Makes a client's certificate and a kubeconfig with it, and returns the path of that. */
  async createClient(file: string, { user, group }: Identity): Promise<string> {
    const subject = `${group === undefined ? "" : `/O=${group}`}/CN=${user}`;
    await this.#sign(file, subject, "extendedKeyUsage=clientAuth");
    const server = `https://${addresses.apiServer}:${addresses.apiServerPort}`;
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "cluster",
      clusters: [{ name: "cluster", cluster: { server, "certificate-authority": this.path("ca.crt") } }],
      users: [
        {
          name: user,
          user: { "client-certificate": this.path(`${file}.crt`), "client-key": this.path(`${file}.key`) },
        },
      ],
      contexts: [{ name: "cluster", context: { cluster: "cluster", user } }],
    };
    return await this.#directory.write(`pki/${file}.kubeconfig`, JSON.stringify(config), 0o600);
  }

  async #sign(file: string, subject: string, extension: string): Promise<void> {
    const authority = ["-CA", this.path("ca.crt"), "-CAkey", this.path("ca.key"), "-days", "30"];
    const request = ["req", "-x509", ...authority, "-subj", subject, "-addext", extension, ...this.#newKey(file)];
    await this.#openssl([...request, "-addext", "basicConstraints=CA:FALSE", "-out", this.path(`${file}.crt`)]);
  }

  #newKey(file: string): readonly string[] {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"];
    return [...key, "-keyout", this.path(`${file}.key`)];
  }

  async #openssl(words: readonly string[]): Promise<void> {
    await runCommand(["openssl", ...words]);
  }
}

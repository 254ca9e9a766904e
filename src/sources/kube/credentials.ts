import { findText, readText } from "../../sys/file.ts";
import type { Endpoint } from "./transport.ts";

/** How one request reaches the API server. */
export interface ApiAccess {
  readonly endpoint: Endpoint;
  /** What goes before every path; empty, or like `/k8s/clusters/c1`. */
  readonly basePath: string;
  /** The value of the Authorization header. */
  readonly authorization: string | undefined;
}

/** Where the access comes from. */
export interface Credentials {
  /** For the log: "service account". */
  readonly name: string;
  /** How the next request is to be made. Rejects with an Error when it cannot be told now. */
  access(): Promise<ApiAccess>;
  /** The server has refused this that `access` said: unless there is another by now, the next one is read anew. */
  refused(access: ApiAccess): void;
  /** The server, without asking anybody who it is that asks: also where credentials have ended, or cannot be had. */
  server(): Promise<Endpoint>;
}

/** Where the kubelet puts a pod's credentials. */
const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The server of a URL. Throws an Error. */
export function parseServer(text: string): {
  readonly host: string;
  readonly port: number;
  readonly https: boolean;
  readonly basePath: string;
} {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const https = url?.protocol === "https:";
  if (url === undefined || (!https && url.protocol !== "http:") || url.hostname === "") {
    throw new Error(`Cannot use API server "${text}": it must be a URL like https://10.0.0.1:6443`);
  }
  const usual = https ? 443 : 80;
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? usual : Number(url.port),
    https,
    basePath: url.pathname.replace(/\/+$/, ""),
  };
}

/** The API server's URL that the kubelet gives every pod, undefined outside a pod. */
export function findClusterServer(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"];
  if (host === undefined || host === "" || port === undefined || port === "") return undefined;
  return `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * A pod's credentials: two files and the server's address. Both files are read for every request, of which there are few,
 * since the kubelet replaces the token every hour or so, and the certificates when the cluster changes them.
 */
export class ServiceAccount implements Credentials {
  readonly name: string;
  readonly #server: string;
  readonly #directory: string;

  constructor(server: string, directory: string = serviceAccountDirectory) {
    this.name = `service account of "${directory}"`;
    this.#server = server;
    this.#directory = directory;
  }

  access(): Promise<ApiAccess> {
    return Promise.try(() => {
      const { host, port, https, basePath } = parseServer(this.#server);
      // A token goes to nobody who has not proved to be the cluster's own server.
      if (!https) return { endpoint: { host, port, tls: undefined }, basePath, authorization: undefined };
      const ca = readText(`${this.#directory}/ca.crt`);
      const token = readText(`${this.#directory}/token`).trim();
      const tls = { ca, cert: undefined, key: undefined, serverName: undefined, verify: true };
      return { endpoint: { host, port, tls }, basePath, authorization: `Bearer ${token}` };
    });
  }

  refused(): void {
    // Nothing is kept that could be stale.
  }

  async server(): Promise<Endpoint> {
    return (await this.access()).endpoint;
  }
}

/** True where a pod's token is. */
export function hasServiceAccount(directory: string = serviceAccountDirectory): boolean {
  return findText(`${directory}/token`) !== undefined;
}

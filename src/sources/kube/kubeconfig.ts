import { Decoder, parseJson } from "../../base/decode.ts";
import { type ApiAccess, type Credentials, parseServer } from "./credentials.ts";
import type { Endpoint } from "./transport.ts";

/** What the child that reads a kubeconfig tells, as JSON. */
export interface KubeconfigText {
  readonly server: string;
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly serverName: string | null;
  readonly verify: boolean;
  readonly authorization: string | null;
  readonly proxy: string | null;
  /** Milliseconds since the epoch; null for what does not say when it ends. */
  readonly expires: number | null;
}

/** What is to be read of a kubeconfig: all that a request needs, or only the cluster, for which nobody has to be asked. */
export type KubeconfigPart = "access" | "cluster";

/** What is slower is said: an exec plugin may hang, or wait for somebody. */
const slowMs = 5000;

/** Credentials are asked for again so long before they end; those that live for less than twice that, at half time. */
const marginMs = 30_000;

/**
 * What a kubeconfig says, read by somebody else, and read again when it ends or the server refuses it: once at a time,
 * however many requests wait for it.
 */
export class Kubeconfig implements Credentials {
  readonly name: string;
  readonly #server: string;
  readonly #read: (part: KubeconfigPart) => Promise<string>;
  readonly #report: (line: string) => void;
  #warned = false;
  #known: Known | undefined;
  #renewal: Promise<Known> | undefined;

  /** `server` replaces the one that the file names, unless it is empty. */
  constructor(
    path: string | undefined,
    server: string,
    options: { readonly read: (part: KubeconfigPart) => Promise<string>; readonly report: (line: string) => void },
  ) {
    this.name = path === undefined ? "the default kubeconfig" : `kubeconfig "${path}"`;
    this.#server = server;
    this.#read = options.read;
    this.#report = options.report;
  }

  async access(): Promise<ApiAccess> {
    const known = this.#known;
    if (known !== undefined && known.renewAt > Date.now()) return known.access;
    try {
      this.#renewal ??= this.#renew().finally(() => {
        this.#renewal = undefined;
      });
      return (await this.#renewal).access;
    } catch (error) {
      // What was asked for early still holds.
      if (known !== undefined && known === this.#known && known.expires > Date.now()) return known.access;
      throw new Error(`Cannot use ${this.name}`, { cause: error });
    }
  }

  refused(access: ApiAccess): void {
    if (this.#known?.access === access) this.#known = undefined;
  }

  async server(): Promise<Endpoint> {
    const known = this.#known ?? decodeAccess(await this.#read("cluster"), this.#server);
    return known.access.endpoint;
  }

  async #renew(): Promise<Known> {
    const known = decodeAccess(await this.#readPatiently(), this.#server);
    this.#known = known;
    if (known.access.endpoint.tls?.verify === false && !this.#warned) {
      this.#warned = true;
      this.#report(`${this.name} says insecure-skip-tls-verify: nobody checks who the API server is`);
    }
    return known;
  }

  async #readPatiently(): Promise<string> {
    const timer = setTimeout(() => {
      const who = "its exec plugin, if it has one, has not answered";
      this.#report(`${this.name} has given no credentials for ${slowMs / 1000} s, and is waited for: ${who}`);
    }, slowMs);
    try {
      return await this.#read("access");
    } finally {
      clearTimeout(timer);
    }
  }
}

interface Known {
  readonly access: ApiAccess;
  /** Infinity for what does not say when it ends. */
  readonly expires: number;
  readonly renewAt: number;
}

function decodeAccess(text: string, server: string): Known {
  const json = new Decoder(parseJson(text));
  const proxy = json.field("proxy").string();
  if (proxy !== undefined) throw new Error(`its proxy-url "${proxy}" is not supported`);
  const { host, port, https, basePath } = parseServer(server === "" ? (json.field("server").string() ?? "") : server);
  const cert = json.field("cert").string();
  const key = json.field("key").string();
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error(`it has a client ${cert === undefined ? "key without certificate" : "certificate without key"}`);
  }
  const tls = {
    ca: json.field("ca").string(),
    cert,
    key,
    serverName: json.field("serverName").string(),
    verify: json.field("verify").boolean() ?? true,
  };
  const expires = json.field("expires").integer() ?? Infinity;
  return {
    access: {
      endpoint: { host, port, tls: https ? tls : undefined },
      basePath,
      authorization: json.field("authorization").string(),
    },
    expires,
    renewAt: expires - Math.min(marginMs, Math.max(0, expires - Date.now()) / 2),
  };
}

import { errorText } from "../../base/error.ts";
import type { KeptNodes, NodeCache } from "./cache.ts";
import type { Credentials } from "./credentials.ts";
import type { NodeTable } from "./node-table.ts";

/** How long changes are collected before they are kept. */
const collectMs = 5000;

/** Keeps the nodes of a table in a file soon after they have changed, and finds those that an earlier process kept. */
export class NodeKeeper implements Disposable {
  readonly #cache: NodeCache;
  readonly #table: NodeTable;
  readonly #credentials: Credentials;
  readonly #report: (line: string) => void;
  #cluster: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #told: string | undefined;

  constructor(
    cache: NodeCache,
    table: NodeTable,
    options: { readonly credentials: Credentials; readonly report: (line: string) => void },
  ) {
    this.#cache = cache;
    this.#table = table;
    this.#credentials = options.credentials;
    this.#report = options.report;
  }

  /** What was kept for this cluster, undefined when nothing that can be used; a failure is reported. */
  async find(): Promise<KeptNodes | undefined> {
    try {
      return this.#cache.find(await this.#findCluster());
    } catch (error) {
      this.#tell(`Cannot restore the nodes from "${this.#cache.path}": ${errorText(error)}`);
      return undefined;
    }
  }

  /** The table has changed, and is complete. */
  keepSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#learnCluster();
    }, collectMs);
  }

  /** Keeps at once what waits to be kept. */
  [Symbol.dispose](): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#keep();
  }

  async #learnCluster(): Promise<void> {
    try {
      this.#cluster = await this.#findCluster();
      this.#keep();
    } catch (error) {
      this.#tell(`Cannot keep the nodes in "${this.#cache.path}": ${errorText(error)}`);
    }
  }

  #keep(): void {
    const own = this.#table.own?.record;
    if (own === undefined || this.#cluster === undefined) return;
    try {
      this.#cache.keep(this.#cluster, { own, texts: [...this.#table.texts()] });
    } catch (error) {
      const where = `Cannot keep the nodes in "${this.#cache.path}"`;
      this.#tell(`${where}, a start without the API server will find none: ${errorText(error)}`);
    }
  }

  /** What tells one cluster from another: who signs its certificates, in PEM. */
  async #findCluster(): Promise<string> {
    const { tls, host, port } = await this.#credentials.server();
    return tls?.ca ?? `${host}:${port}`;
  }

  #tell(line: string): void {
    if (this.#told === line) return;
    this.#told = line;
    this.#report(line);
  }
}

import { drawWait } from "../../base/back-off.ts";
import { errorText } from "../../base/error.ts";
import { ApiError, type ApiReceiver, type KubeApi, protobufType } from "./api.ts";
import { FrameSplitter } from "./frames.ts";
import type { NodeDecoder } from "./node-record.ts";
import { pause } from "./pause.ts";
import type { WatchTiming } from "./timing.ts";
import type { TransportLimits } from "./transport.ts";
import { decodeNodeEvent, decodeNodePage, type NodeEvent, type NodePage } from "./watch-event.ts";

/** What becomes of a watch. Events of one piece of the stream come together. */
export interface NodeWatchListener {
  /** Every node that exists is about to be named. */
  listBegins(): void;
  /** Every node that exists has been named. */
  listEnds(): void;
  event(event: NodeEvent): void;
  /** The server answers, and what it tells from here on is all that happens. */
  live(): void;
  /** What happens is not told any more, or not yet. */
  lost(reason: string): void;
  /** The list does not come as the beginning of the watch, for this reason, but in pages. */
  paged(reason: string): void;
}

const nodesPath = "/api/v1/nodes";
const pageSize = 500;
/** After a watch-list was broken off this often without a refusal, the list is asked for in pages. */
const patienceForLists = 2;
/** A stream that lasted this long was a good one: its end is no failure. */
const steadyMs = 5000;
/** Collecting what the stream left behind each time so much was read keeps the peak low, for 20 ms each time. */
const collectBytes = 24 * 1024 * 1024;

/** The server does not have what was asked for as it was asked for. */
const refusals: ReadonlySet<number> = new Set([400, 404, 405, 406, 415, 422, 500, 501]);
const gone = 410;

/** The stream has told of a failure. */
class WatchError extends Error {
  override readonly name = "WatchError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(`Cannot watch nodes: the API server says ${code} ${message}`);
    this.code = code;
  }
}

/**
 * Lists and watches all nodes for as long as the process lives: first the list, as the beginning of the watch where the
 * server has that (sendInitialEvents), else in pages; then what changes. After a break it goes on where it was; where the
 * server no longer has that, or has never been there (its store was restored), it lists again, and again tries first
 * whether the server has the list as the beginning of the watch: it may be a newer one by then.
 */
export class NodeWatch {
  readonly #api: KubeApi;
  readonly #reading: { readonly nodes: NodeDecoder; readonly own: string };
  readonly #listener: NodeWatchListener;
  readonly #timing: WatchTiming;
  readonly #signal: AbortSignal;
  /** Where to go on; undefined when all is to be listed. */
  #version: string | undefined;
  /** How many streams in a row did not last. */
  #failures = 0;
  /** How often the place at which to go on had expired, since a stream lasted. */
  #expiries = 0;
  /** The last one ended by a failure. */
  #failed = false;
  #brokenLists = 0;
  #listing = false;
  /** Since when the present stream tells all that happens. */
  #liveAt: number | undefined;

  constructor(
    api: KubeApi,
    reading: { readonly nodes: NodeDecoder; readonly own: string },
    options: { readonly listener: NodeWatchListener; readonly timing: WatchTiming; readonly signal: AbortSignal },
  ) {
    this.#api = api;
    this.#reading = reading;
    this.#listener = options.listener;
    this.#timing = options.timing;
    this.#signal = options.signal;
  }

  /** Runs until the signal; then it rejects with the signal's reason. */
  async run(): Promise<never> {
    for (;;) {
      this.#liveAt = undefined;
      const failed = await this.#try();
      this.#failed = failed !== undefined;
      const wasSteady = this.#hasLived(steadyMs);
      if (failed !== undefined && !this.#signal.aborted) this.#listener.lost(failed);
      this.#signal.throwIfAborted();
      if (failed === undefined && wasSteady && this.#version !== undefined) {
        this.#expiries = 0;
        continue;
      }
      await pause(this.#nextPause(wasSteady), this.#signal);
    }
  }

  /** Why it failed; undefined when the stream ended as streams do. */
  async #try(): Promise<string | undefined> {
    try {
      if (this.#failed) await this.#checkVersion();
      if (this.#version === undefined) await this.#listAndWatch();
      else await this.#watch(this.#version);
      return undefined;
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason;
      if (isGone(error)) {
        // The server is well; how long it was away before says nothing of how long to wait now.
        this.#failures = this.#expiries++;
        this.#version = undefined;
        return undefined;
      }
      return errorText(error);
    } finally {
      this.#listing = false;
    }
  }

  #nextPause(wasSteady: boolean): number {
    if (wasSteady) {
      this.#failures = 0;
      this.#expiries = 0;
    }
    const { firstRetryMs, longestRetryMs } = this.#timing;
    const longest = Math.min(firstRetryMs * 2 ** this.#failures, longestRetryMs);
    this.#failures++;
    return drawWait(longest);
  }

  /**
   * A server that was away may have come back with an older store. Asked for what happens after a version that it has not
   * reached yet, it would be silent until it has.
   */
  async #checkVersion(): Promise<void> {
    const version = this.#version;
    if (version === undefined || !/^\d+$/.test(version)) return;
    const page = await this.#page("?limit=1");
    if (/^\d+$/.test(page.resourceVersion) && BigInt(page.resourceVersion) < BigInt(version)) this.#version = undefined;
  }

  async #listAndWatch(): Promise<void> {
    if (this.#brokenLists < patienceForLists) {
      try {
        await this.#stream("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=", true);
        return;
      } catch (error) {
        if (!this.#listing || this.#signal.aborted) throw error;
        if (isRefusal(error)) this.#brokenLists = patienceForLists;
        if (this.#brokenLists >= patienceForLists) this.#listener.paged(errorText(error));
        if (!isRefusal(error)) throw error;
      }
    }
    await this.#listPages();
  }

  async #listPages(): Promise<void> {
    this.#listing = true;
    this.#listener.listBegins();
    let query = `?limit=${pageSize}`;
    let version: string;
    for (;;) {
      const page = await this.#page(query);
      for (const { record, condition } of page.records) this.#listener.event({ kind: "present", record, condition });
      version = page.resourceVersion;
      if (page.next === "") break;
      query = `?limit=${pageSize}&continue=${encodeURIComponent(page.next)}`;
    }
    // Not before the last page: a list that broke off is begun anew, not followed.
    this.#version = version;
    this.#listing = false;
    this.#brokenLists = 0;
    this.#listener.listEnds();
    await this.#watch(version);
  }

  async #page(query: string): Promise<NodePage> {
    const request = { what: "list nodes", method: "GET", path: `${nodesPath}${query}`, accept: protobufType } as const;
    const bytes = await this.#api.ask(request, this.#signal, this.#timing.request);
    const page = decodeNodePage(bytes, this.#reading);
    Bun.gc(true);
    return page;
  }

  async #watch(version: string): Promise<void> {
    let frames = 0;
    try {
      await this.#stream(`resourceVersion=${encodeURIComponent(version)}`, false, () => frames++);
    } finally {
      // Not even a bookmark: this version may be one that the server has not reached.
      if (frames === 0 && this.#hasLived(this.#timing.watch.idleMs)) this.#version = undefined;
    }
  }

  async #stream(query: string, withList: boolean, heard: () => void = ignore): Promise<void> {
    this.#listing = withList;
    const { nodes, own } = this.#reading;
    const splitter = new FrameSplitter((bytes, start, end) => {
      heard();
      this.#take(decodeNodeEvent(bytes, { start, end }, { nodes, own }));
    });
    let uncollected = 0;
    const receiver: ApiReceiver = {
      accepted: (): void => {
        if (withList) this.#beginList();
        else this.#becomeLive();
      },
      body: (bytes): void => {
        splitter.push(bytes);
        uncollected += bytes.length;
        if (uncollected < collectBytes) return;
        uncollected = 0;
        Bun.gc(true);
      },
    };
    const path = `${nodesPath}?watch=1&allowWatchBookmarks=true&${query}`;
    const accept = `${protobufType};stream=watch`;
    const limits = this.#limits();
    await this.#api.stream({ what: "watch nodes", method: "GET", path, accept }, receiver, {
      signal: this.#signal,
      limits,
    });
    if (this.#listing) throw new Error("Cannot watch nodes: the list was not completed");
  }

  /** A list comes without pauses; what follows it is silent but for a bookmark each minute. */
  #limits(): TransportLimits {
    const { watch, listIdleMs } = this.#timing;
    const isListing = (): boolean => this.#listing;
    return {
      ...watch,
      get idleMs(): number {
        return isListing() ? listIdleMs : watch.idleMs;
      },
    };
  }

  #take(event: NodeEvent): void {
    if (event.kind === "error") {
      const { code, reason, message } = event.status;
      throw new WatchError(code, `${reason}: ${message}`);
    }
    this.#listener.event(event);
    const version = event.kind === "present" ? event.record.resourceVersion : event.resourceVersion;
    if (!this.#listing) this.#version = version;
    if (event.kind !== "bookmark" || !event.initialEnd || !this.#listing) return;
    this.#version = version;
    this.#listing = false;
    this.#brokenLists = 0;
    this.#listener.listEnds();
    this.#becomeLive();
  }

  #beginList(): void {
    // Until it is complete.
    this.#brokenLists++;
    this.#listener.listBegins();
  }

  #becomeLive(): void {
    this.#liveAt = performance.now();
    this.#listener.live();
  }

  #hasLived(milliseconds: number): boolean {
    return this.#liveAt !== undefined && performance.now() - this.#liveAt >= milliseconds;
  }
}

function isGone(error: unknown): boolean {
  return (error instanceof WatchError || error instanceof ApiError) && error.code === gone;
}

/** The feature may be switched on and yet refused, by an answer or as the first event (with an etcd before 3.4.31). */
function isRefusal(error: unknown): boolean {
  return (error instanceof WatchError || error instanceof ApiError) && refusals.has(error.code);
}

function ignore(): void {
  // Nobody counts.
}

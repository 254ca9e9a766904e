import {
  type Lease,
  type LeaseAttributes,
  type LeaseRequest,
  type LeaseSource,
  notReadYet,
  type SourceState,
} from "../../lease/lease.ts";
import type { NetworkConfig } from "../../lease/network-config.ts";
import { parseAnnotationPrefix } from "./annotations.ts";
import { KubeApi } from "./api.ts";
import { NodeCache } from "./cache.ts";
import { NetConfFile } from "./config-file.ts";
import type { Credentials } from "./credentials.ts";
import { followNodes } from "./feed.ts";
import { NodeKeeper } from "./keeper.ts";
import { attributesOf } from "./node-lease.ts";
import type { NodeIdentity } from "./node-name.ts";
import { NodeDecoder } from "./node-record.ts";
import { NodeTable } from "./node-table.ts";
import { OwnObject } from "./own-object.ts";
import { usualTiming, type WatchTiming } from "./timing.ts";
import type { NodeEvent } from "./watch-event.ts";

/** So long the API server has, at the start, before what was kept is taken: the data plane of a rebooted node waits. */
const patienceMs = 3000;

/** What a source over Node objects needs to know. */
export interface KubeSourceOptions {
  readonly credentials: Credentials;
  readonly identity: NodeIdentity;
  /** As the flag gives it. */
  readonly annotationPrefix: string;
  readonly netConfPath: string;
  /** Where the nodes are kept for a start without the API server. */
  readonly stateDirectory: string;
  /** Whether the node's condition is to be set. */
  readonly setCondition: boolean;
  /** Takes a line about what cannot be used. */
  readonly report: (line: string) => void;
  readonly timing?: WatchTiming;
}

/**
 * Leases as annotations of Node objects, as flannel keeps them in a Kubernetes cluster: the subnets are the pod CIDRs that
 * the controller manager gives the nodes. All nodes are listed and watched; what is not a lease is not kept. While the
 * API server is away, what was known stays; at a start without it, what the last process kept in a small file counts.
 */
export class KubeLeaseSource implements LeaseSource {
  readonly name = "Kubernetes";
  readonly configPath: string;
  readonly #options: KubeSourceOptions;
  readonly #api: KubeApi;
  readonly #nodes: NodeDecoder;
  readonly #table: NodeTable;
  readonly #config: NetConfFile;
  readonly #keeper: NodeKeeper;
  readonly #own: OwnObject;
  readonly #stop = new AbortController();
  #changed: (() => void) | undefined;
  #telling = false;
  #state: SourceState = { kind: "unknown", reason: notReadYet };
  #stateIsOld = true;
  #seenOwnReasons = "";
  /** The state that was last told of. */
  #toldState: SourceState | undefined;
  #nodeName: string | undefined;
  /** Everything was listed once in this process. */
  #complete = false;
  #restored = false;
  /** Why nothing is told of what happens now; undefined while it is. */
  #problem: string | undefined = notReadYet;
  #patienceTimer: NodeJS.Timeout | undefined;
  /** Why lists come in pages, as was reported last. */
  #toldPaged: string | undefined;

  /** Throws an Error for a prefix that cannot be one. */
  constructor(options: KubeSourceOptions) {
    const { credentials, report, stateDirectory } = options;
    const prefix = parseAnnotationPrefix(options.annotationPrefix);
    this.#options = options;
    this.#api = new KubeApi(credentials);
    this.#nodes = new NodeDecoder(prefix);
    this.#table = new NodeTable(report);
    this.configPath = options.netConfPath;
    this.#config = new NetConfFile(options.netConfPath, report);
    this.#keeper = new NodeKeeper(new NodeCache(stateDirectory, prefix), this.#table, { credentials, report });
    const patcher = { api: this.#api, nodes: this.#nodes, signal: this.#stop.signal };
    this.#own = new OwnObject(patcher, prefix, this.#table);
  }

  state(): SourceState {
    if (this.#stateIsOld) {
      this.#stateIsOld = false;
      const next = this.#makeState();
      const ownReasons = this.#ownReasons();
      if (!sameState(this.#state, next) || ownReasons !== this.#seenOwnReasons) this.#state = next;
      this.#seenOwnReasons = ownReasons;
    }
    return this.#state;
  }

  start(changed: () => void): void {
    if (this.#changed !== undefined) throw new Error(`Cannot start ${this.name}: it was started before`);
    this.#changed = changed;
    this.#config.start(() => this.#takeConfig());
    this.#takeConfig();
    this.#patienceTimer = setTimeout(() => void this.#restore(), patienceMs);
    const { identity, timing = usualTiming } = this.#options;
    const feed = { api: this.#api, nodes: this.#nodes, identity, timing, signal: this.#stop.signal };
    const followed = followNodes(feed, {
      named: (name) => this.#takeName(name),
      listBegins: () => this.#table.beginList(),
      listEnds: () => this.#completeList(),
      event: (event) => this.#take(event),
      live: () => this.#setProblem(undefined),
      lost: (reason) => this.#lose(reason),
      paged: (reason) => this.#tellPaged(reason),
    });
    followed.catch((error: unknown) => {
      // It follows until it is stopped; what else ends it is a mistake of this program.
      if (!this.#stop.signal.aborted) queueMicrotask(() => rethrow(error));
    });
  }

  async acquire(config: NetworkConfig, { attributes }: LeaseRequest): Promise<Lease> {
    try {
      const lease = await this.#own.take(this.#knownName(), config, attributes);
      this.#changeSoon();
      return lease;
    } catch (error) {
      // Without the API server nothing can be published, and what was published before still holds.
      const before = this.#problem === undefined ? undefined : this.#table.ownLease;
      if (before !== undefined) return before;
      throw new Error(`Cannot take a lease from ${this.name}`, { cause: error });
    }
  }

  async publish(lease: Lease, attributes: LeaseAttributes): Promise<Lease> {
    const published = await this.#own.rewrite(this.#knownName(), lease, attributes);
    this.#changeSoon();
    return published;
  }

  findPublished(): LeaseAttributes | undefined {
    const own = this.#table.own?.record;
    return own === undefined ? undefined : attributesOf(own.annotations);
  }

  isOwn(lease: Lease): boolean {
    return lease === this.#table.ownLease;
  }

  async announce(): Promise<void> {
    if (this.#options.setCondition && this.#complete && this.#problem === undefined) await this.#own.announce();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#patienceTimer);
    this.#stop.abort(new Error("the source was closed"));
    this.#changed = undefined;
    this.#config[Symbol.dispose]();
    this.#keeper[Symbol.dispose]();
  }

  #takeName(name: string): void {
    if (this.#nodeName !== undefined && this.#nodeName !== name) this.#restored = false;
    this.#nodeName = name;
    this.#table.ownName = name;
  }

  #knownName(): string {
    if (this.#nodeName === undefined) throw new Error("this node's name is not known yet");
    return this.#nodeName;
  }

  #takeConfig(): void {
    if (this.#config.value !== undefined) this.#table.config = this.#config.value;
    this.#changeSoon();
  }

  #take(event: NodeEvent): void {
    let news = false;
    if (event.kind === "present") news = this.#table.put(event.record, event.condition);
    else if (event.kind === "deleted") news = this.#table.remove(event.name);
    if (!news || !this.#complete) return;
    this.#keeper.keepSoon();
    this.#changeSoon();
  }

  #completeList(): void {
    clearTimeout(this.#patienceTimer);
    this.#table.endList();
    this.#complete = true;
    this.#restored = false;
    this.#keeper.keepSoon();
    this.#setProblem(undefined);
  }

  #lose(reason: string): void {
    this.#setProblem(reason);
    if (!this.#complete) void this.#restore();
  }

  #tellPaged(reason: string): void {
    if (this.#toldPaged === reason) return;
    this.#toldPaged = reason;
    this.#options.report(
      `${this.name} does not list the nodes as the beginning of a watch, they come in pages: ${reason}`,
    );
  }

  /** Takes what an earlier process kept, unless the API server has answered meanwhile. */
  async #restore(): Promise<void> {
    clearTimeout(this.#patienceTimer);
    if (!this.#mayRestore()) return;
    const kept = await this.#keeper.find();
    const { identity } = this.#options;
    // A pod's node is the machine on which the file lies; a node that got another name is another one.
    if (kept === undefined || !this.#mayRestore()) return;
    if (identity.kind === "node" && identity.name !== kept.own.name) return;
    this.#takeName(kept.own.name);
    this.#table.restore(kept);
    this.#restored = true;
    this.#changeSoon();
  }

  #mayRestore(): boolean {
    return !this.#restored && !this.#complete;
  }

  #setProblem(problem: string | undefined): void {
    if (this.#problem === problem) return;
    this.#problem = problem;
    this.#changeSoon();
  }

  /** The state is made when it is asked for, however many changes came before. */
  #changeSoon(): void {
    this.#stateIsOld = true;
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      const state = this.state();
      if (state === this.#toldState) return;
      this.#toldState = state;
      this.#changed?.();
    });
  }

  /** What of this node is no part of the state, but a reason to look again: its subnet, and who denies its network. */
  #ownReasons(): string {
    const { own } = this.#table;
    const denied = this.#options.setCondition && own?.condition !== undefined && own.condition.status !== "False";
    return `${own?.record.podCidrs.join() ?? ""}${denied ? " denied" : ""}`;
  }

  #makeState(): SourceState {
    const config = this.#config.value;
    const { leases, wishes } = this.#table;
    if (config === undefined) return { kind: "unknown", reason: this.#config.problem ?? notReadYet };
    if (!this.#complete && !this.#restored) return { kind: "unknown", reason: this.#problem ?? notReadYet };
    const restored = !this.#complete;
    const stale = this.#problem;
    return { kind: "known", config, leases, wishes, restored, stale };
  }
}

function sameState(left: SourceState, right: SourceState): boolean {
  if (left.kind === "unknown" || right.kind === "unknown") {
    return left.kind === "unknown" && right.kind === "unknown" && left.reason === right.reason;
  }
  return (
    left.config === right.config &&
    left.leases === right.leases &&
    left.wishes === right.wishes &&
    left.restored === right.restored &&
    left.stale === right.stale
  );
}

function rethrow(error: unknown): never {
  throw error;
}

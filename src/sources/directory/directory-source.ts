import { errorText } from "../../base/error.ts";
import { chooseOwnLease } from "../../lease/allocate.ts";
import {
  type Lease,
  type LeaseAttributes,
  type LeaseRequest,
  type LeaseSource,
  notReadYet,
  noWishes,
  type SourceState,
} from "../../lease/lease.ts";
import type { NetworkConfig } from "../../lease/network-config.ts";
import { claimLease, rewriteLease } from "./claim.ts";
import { ConfigFile } from "./config-file.ts";
import { LeaseFiles } from "./files.ts";
import { LeaseTable } from "./lease-table.ts";
import { FileReports } from "./reports.ts";
import { LeaseDirectoryWatch } from "./watch.ts";

/** How long events are collected, in milliseconds: a file that is made, written and closed is read once. */
const collectMs = 10;

/**
 * How long to wait, in milliseconds, where something cannot be read: no event tells when the system would not refuse it,
 * nor that something was mounted on the directory, or a link above it turned.
 */
const retryMs = 1000;

/** What only a person can decide. */
const awayHint =
  "; this node has had a lease before, so its leases may only be away (moved, or not mounted): bring them back, or make" +
  " that directory, empty, where there are none any more";

/** What events have named since the last look; of each lease, whether it was last seen to be removed. */
interface News {
  everything: boolean;
  config: boolean;
  readonly leases: Map<string, boolean>;
}

/** Why parts of the directory cannot be watched or read now. */
interface Problems {
  watch: string | undefined;
  config: string | undefined;
  leases: string | undefined;
}

/**
 * Leases as files: `DIR/config` is net-conf.json, `DIR/subnets/10.244.1.0-24` a lease with the fields it has in etcd. A
 * lease stays until its file is removed; nothing expires. The directory is watched by inotify: an event says which file
 * to read again, and the files alone say what is so. A file whose content is broken is reported once, and what it said
 * before stays in force; files whose name begins with a dot are not looked at.
 *
 * `subnets` is made when it is missing. But when leases are known, or this node has had one, and the directory is gone, it
 * was moved away or unmounted, and is waited for: an empty one in its place would take all peers away.
 */
export class DirectoryLeaseSource implements LeaseSource {
  readonly name: string;
  readonly configPath: string;
  readonly #directory: string;
  readonly #files: LeaseFiles;
  readonly #config: ConfigFile;
  readonly #table: LeaseTable;
  readonly #isNew: () => boolean;
  readonly #problems: Problems = { watch: undefined, config: undefined, leases: undefined };
  #state: SourceState = { kind: "unknown", reason: notReadYet };
  #watch: LeaseDirectoryWatch | undefined;
  #changed: (() => void) | undefined;
  #news: News = noNews();
  #lookTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;

  /**
   * `report` takes one line about each file that cannot be used. `isNew` tells whether this node has never had a lease;
   * only then does a directory `subnets` that is missing from the start count as one that nobody has made yet.
   */
  constructor(directory: string, report: (line: string) => void, isNew: () => boolean = () => true) {
    this.#isNew = isNew;
    this.#directory = directory.startsWith("/") ? directory : `${process.cwd()}/${directory}`;
    this.name = `directory "${directory}"`;
    const reports = new FileReports(report);
    this.#files = new LeaseFiles(this.#directory);
    this.configPath = this.#files.config;
    this.#config = new ConfigFile(this.#files.config, reports);
    this.#table = new LeaseTable(this.#files, reports);
  }

  state(): SourceState {
    return this.#state;
  }

  /** Reads the directory before it returns. Throws a SyscallError when there can be no inotify instance. */
  start(changed: () => void): void {
    if (this.#watch !== undefined) throw new Error(`Cannot start ${this.name}: it was started before`);
    this.#watch = new LeaseDirectoryWatch(this.#directory, {
      config: (): void => {
        this.#news.config = true;
        this.#lookSoon();
      },
      lease: (name, gone): void => {
        if (name.startsWith(".")) return;
        this.#news.leases.set(name, gone);
        this.#lookSoon();
      },
      everything: (): void => {
        this.#news.everything = true;
        this.#lookSoon();
      },
    });
    this.#changed = changed;
    this.#readEverything();
  }

  async acquire(config: NetworkConfig, request: LeaseRequest): Promise<Lease> {
    this.#readEverything();
    try {
      const { leases } = this.#table;
      if (leases === undefined) throw new Error(this.#problemText() ?? "there is no configuration");
      if (this.#problems.leases !== undefined) throw new Error(this.#problems.leases);
      const lease = await claimLease(this.#files, leases.values(), { config, request });
      this.#readLeases(new Map([[lease.key, false]]));
      return lease;
    } catch (error) {
      throw new Error(`Cannot take a lease from ${this.name}`, { cause: error });
    }
  }

  publish(lease: Lease, attributes: LeaseAttributes): Promise<Lease> {
    return Promise.try(() => {
      const published = rewriteLease(this.#files, lease, attributes);
      this.#readLeases(new Map([[lease.key, false]]));
      return published;
    });
  }

  findPublished(config: NetworkConfig, request: LeaseRequest): LeaseAttributes | undefined {
    return chooseOwnLease(config, this.#table.leases?.values() ?? [], request).keep;
  }

  isOwn(): undefined {
    // A file does not say whose it is, but for the address in it.
  }

  announce(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#lookTimer);
    clearTimeout(this.#retryTimer);
    this.#changed = undefined;
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
  }

  #lookSoon(): void {
    this.#lookTimer ??= setTimeout(() => {
      this.#lookTimer = undefined;
      this.#look();
    }, collectMs);
  }

  #look(): void {
    const news = this.#news;
    this.#news = noNews();
    const before = this.#config.value;
    if (news.config) this.#readConfig();
    const incomplete = this.#table.leases === undefined || this.#problems.leases !== undefined;
    if (!news.everything && !incomplete && this.#config.value === before) {
      this.#readLeases(news.leases);
      return;
    }
    // Where the directory was removed with its files, their removal was seen: it did not just move away.
    this.#readLeases(new Map([...news.leases].filter(([, gone]) => gone)));
    this.#readEverything();
  }

  #readEverything(): void {
    // The watch comes first, so that no change falls between reading and watching.
    this.#arm();
    this.#readConfig();
    const config = this.#config.value;
    if (config !== undefined) {
      this.#problems.leases = this.#problemOf(() => {
        if (this.#mayMakeSubnets() && this.#files.makeSubnets()) this.#arm();
        const problem = this.#table.readAll(config);
        return problem === undefined || !this.#mayBeAway() ? problem : `${problem}${awayHint}`;
      });
    }
    this.#update();
  }

  #readLeases(names: ReadonlyMap<string, boolean>): void {
    if (this.#config.value !== undefined) this.#table.readSome(names, this.#config.value);
    this.#update();
  }

  #readConfig(): void {
    this.#problems.config = this.#problemOf(() => this.#config.read());
  }

  #arm(): void {
    this.#problems.watch = this.#problemOf(() => {
      this.#watch?.arm();
      return undefined;
    });
  }

  /** Only beside a configuration that can be read now, and where no known lease would be lost sight of. */
  #mayMakeSubnets(): boolean {
    if (this.#problems.config !== undefined) return false;
    const { leases } = this.#table;
    return leases === undefined ? this.#isNew() : leases.size === 0;
  }

  /** True when no leases are there from the start although this node has had one. */
  #mayBeAway(): boolean {
    return this.#table.leases === undefined && this.#files.list() === undefined && !this.#isNew();
  }

  /** The result of a piece of work that says what is in its way. */
  #problemOf(work: () => string | undefined): string | undefined {
    try {
      return work();
    } catch (error) {
      return errorText(error);
    }
  }

  #retryLater(): void {
    if (this.#watch === undefined) return;
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined;
      this.#retry();
    }, retryMs);
  }

  /** Without a configuration, thousands of leases need not be read each time. */
  #retry(): void {
    this.#readConfig();
    const { watch, config } = this.#problems;
    if (config === undefined || watch !== undefined) this.#readEverything();
    else this.#update();
  }

  #problemText(): string | undefined {
    const { watch, config, leases } = this.#problems;
    const texts = [watch, config, leases].filter((text) => text !== undefined);
    return texts.length === 0 ? undefined : texts.join("; ");
  }

  /** Makes the state anew from what was read, and tells of it when it is another one. What is missing is looked for again. */
  #update(): void {
    if (this.#problemText() !== undefined) this.#retryLater();
    const next = this.#nextState();
    if (sameState(this.#state, next)) return;
    this.#state = next;
    queueMicrotask(() => this.#changed?.());
  }

  #nextState(): SourceState {
    const config = this.#config.value;
    const { leases } = this.#table;
    const problem = this.#problemText();
    if (config !== undefined && leases !== undefined) {
      return { kind: "known", config, leases, wishes: noWishes, restored: false, stale: problem };
    }
    return { kind: "unknown", reason: problem ?? notReadYet };
  }
}

function noNews(): News {
  return { everything: false, config: false, leases: new Map() };
}

function sameState(left: SourceState, right: SourceState): boolean {
  if (left.kind === "unknown" || right.kind === "unknown") {
    return left.kind === "unknown" && right.kind === "unknown" && left.reason === right.reason;
  }
  return left.config === right.config && left.leases === right.leases && left.stale === right.stale;
}

import { errorText } from "../../base/error.ts";
import { type Lease, type NodeWishes, noWishes } from "../../lease/lease.ts";
import { sameAttributes } from "../../lease/lease-json.ts";
import type { NetworkConfig } from "../../lease/network-config.ts";
import type { KeptNodes } from "./cache.ts";
import { isManaged, leaseOfText, nodeText, wishesOf } from "./node-lease.ts";
import type { NetworkCondition, NodeRecord } from "./node-record.ts";

/** This node's own object, of which more is kept than of the others. */
export interface OwnNode {
  readonly record: NodeRecord;
  readonly condition: NetworkCondition | undefined;
}

/** A node of flannel's. */
interface Entry {
  readonly text: string;
  /** What it said when it last could be used. */
  readonly lease: Lease | undefined;
}

/**
 * What is known of all nodes: of each one text, and the lease that it makes. What cannot be used is reported once, and
 * what the node said before stays in force until it says something better or goes.
 */
export class NodeTable {
  readonly #report: (line: string) => void;
  readonly #entries = new Map<string, Entry>();
  /** By node what was reported of it. */
  readonly #told = new Map<string, string>();
  /** What was reported of two nodes with one pod CIDR, and still holds. */
  #conflicts: ReadonlySet<string> = new Set();
  #config: NetworkConfig | undefined;
  #ownName: string | undefined;
  #own: OwnNode | undefined;
  #wishes: NodeWishes = noWishes;
  /** The nodes that the listing under way has named. */
  #listed: Set<string> | undefined;
  #leases: ReadonlyMap<string, Lease> | undefined;

  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  /** Which node is this one. */
  set ownName(name: string) {
    this.#ownName = name;
  }

  get own(): OwnNode | undefined {
    return this.#own;
  }

  get wishes(): NodeWishes {
    return this.#wishes;
  }

  /** This node's lease, as it was last usable. */
  get ownLease(): Lease | undefined {
    return this.#ownName === undefined ? undefined : this.#entries.get(this.#ownName)?.lease;
  }

  /** By key. Never changed in place, and the same object until something changed. */
  get leases(): ReadonlyMap<string, Lease> {
    this.#leases ??= this.#collect();
    return this.#leases;
  }

  /** Every node's name and text, to be kept for a later process. */
  texts(): Iterable<readonly [name: string, text: string]> {
    return this.#entries.entries().map(([name, { text }]) => [name, text] as const);
  }

  /** What every lease is made by. */
  set config(config: NetworkConfig) {
    if (this.#config === config) return;
    this.#config = config;
    this.#told.clear();
    for (const [name, { text, lease }] of this.#entries) this.#set(name, text, lease);
  }

  /** A listing begins: it will name every node that exists. */
  beginList(): void {
    this.#listed = new Set();
    // A store that was restored begins to count anew: versions of before say nothing.
    if (this.#own !== undefined) {
      this.#own = { ...this.#own, record: { ...this.#own.record, resourceVersion: "" } };
    }
  }

  /** The listing is complete: what it did not name has been deleted meanwhile. */
  endList(): void {
    const listed = this.#listed;
    if (listed === undefined) return;
    this.#listed = undefined;
    for (const name of this.#entries.keys()) if (!listed.has(name)) this.remove(name);
    if (this.#own !== undefined && !listed.has(this.#own.record.name)) this.#removeOwn();
  }

  /** A node is there, or has changed. True when that is news. */
  put(record: NodeRecord, condition: NetworkCondition | undefined): boolean {
    const { name } = record;
    this.#listed?.add(name);
    const isOwn = name === this.#ownName;
    if (isOwn && isOlder(record, this.#own?.record)) return false;
    const ownNews = isOwn && this.#putOwn({ record, condition });
    if (!isManaged(record.annotations)) return this.#drop(name) || ownNews;
    return this.#putText(name, nodeText(record)) || ownNews;
  }

  /** Takes what an earlier process kept, but for the nodes of which a listing has told already: that is newer. */
  restore({ own, texts }: KeptNodes): void {
    for (const [name, text] of texts) if (this.#listed?.has(name) !== true) this.#putText(name, text);
    // Not as named by the listing: it may be gone.
    if (this.#listed?.has(own.name) !== true) this.#putOwn({ record: own, condition: undefined });
  }

  /** A node was deleted. True when that is news. */
  remove(name: string): boolean {
    const ownNews = name === this.#ownName && this.#own !== undefined;
    if (ownNews) this.#removeOwn();
    return this.#drop(name) || ownNews;
  }

  #putText(name: string, text: string): boolean {
    const before = this.#entries.get(name);
    if (before?.text === text) return false;
    this.#set(name, text, before?.lease);
    return true;
  }

  #drop(name: string): boolean {
    this.#told.delete(name);
    if (!this.#entries.delete(name)) return false;
    this.#leases = undefined;
    return true;
  }

  #set(name: string, text: string, last: Lease | undefined): void {
    let lease = last;
    if (this.#config !== undefined) {
      try {
        const next = leaseOfText(name, text, this.#config);
        lease = last !== undefined && last.key === next.key && sameAttributes(last, next) ? last : next;
        this.#told.delete(name);
      } catch (error) {
        // What this node itself publishes is put right, not lived with.
        if (name === this.#ownName) lease = undefined;
        const fate = lease === undefined ? "it is skipped" : "what it said before stays in force";
        this.#tell(name, `Cannot use node "${name}", ${fate}: ${errorText(error)}`);
      }
    }
    this.#entries.set(name, { text, lease });
    this.#leases = undefined;
  }

  #putOwn(own: OwnNode): boolean {
    const before = this.#own;
    this.#own = own;
    const wishes = wishesOf(own.record.annotations, (name, value) => {
      this.#tell(`${own.record.name} ${name}`, `Cannot use annotation ${name} of this node: "${value}" is no address`);
    });
    if (!Bun.deepEquals(wishes, this.#wishes)) this.#wishes = wishes;
    return before === undefined || !sameOwn(before, own);
  }

  #removeOwn(): void {
    this.#own = undefined;
    this.#wishes = noWishes;
  }

  #collect(): ReadonlyMap<string, Lease> {
    const leases = new Map<string, Lease>();
    const holders = new Map<Lease, string>();
    const conflicts = new Set<string>();
    for (const [name, { lease }] of this.#entries) {
      if (lease === undefined) continue;
      const other = leases.get(lease.key);
      const holder = other === undefined ? undefined : holders.get(other);
      if (holder !== undefined) {
        // In one order on all nodes, so that all follow the same one; but nobody follows another's claim to his own.
        const [wins, loses] = this.#precedes(name, holder) ? [name, holder] : [holder, name];
        const line = `Cannot use node "${loses}": node "${wins}" has the same pod CIDR ${lease.key}`;
        if (!this.#conflicts.has(line)) this.#report(line);
        conflicts.add(line);
        if (wins === holder) continue;
      }
      leases.set(lease.key, lease);
      holders.set(lease, name);
    }
    this.#conflicts = conflicts;
    return leases;
  }

  #precedes(name: string, other: string): boolean {
    if (name === this.#ownName || other === this.#ownName) return name === this.#ownName;
    return name < other;
  }

  #tell(about: string, line: string): void {
    if (this.#told.get(about) === line) return;
    this.#told.set(about, line);
    this.#report(line);
  }
}

/** True for what a watch tells late, after an answer to a request has told something newer. */
function isOlder(record: NodeRecord, known: NodeRecord | undefined): boolean {
  if (known === undefined || !/^\d+$/.test(known.resourceVersion) || !/^\d+$/.test(record.resourceVersion))
    return false;
  return BigInt(record.resourceVersion) < BigInt(known.resourceVersion);
}

function sameOwn(left: OwnNode, right: OwnNode): boolean {
  return (
    left.condition?.status === right.condition?.status &&
    left.condition?.reason === right.condition?.reason &&
    Bun.deepEquals(left.record.podCidrs, right.record.podCidrs) &&
    Bun.deepEquals(left.record.annotations, right.record.annotations)
  );
}

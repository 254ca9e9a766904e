/** Keeps what the plugins made for pods in force whatever others do to nf_tables. For the daemon alone. */
import { errorText } from "../base/error.ts";
import type { Reply } from "../netlink/message.ts";
import type { SetElement } from "../netlink/nftables-set.ts";
import { commit, readGeneration } from "../netlink/nftables-transaction.ts";
import { tableText } from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { SyscallError } from "../sys/errno.ts";
import { type PodCommit, PodEvents, podTables, tableOf } from "./pod-events.ts";
import { findOwner } from "./pod-owner.ts";
import { findPodDamage, planPodRepair, type PodRepair } from "./pod-repair.ts";
import { PodSnapshot, readPodElements } from "./pod-snapshot.ts";
import { listPodSets, sweepSets } from "./pod-table.ts";

/** How often a repair is sent again because others commit meanwhile, before the next look goes on with it. */
const commitAttempts = 50;
const busyMs = 50;
/** A DEL that read the tables while they were empty may take until now to remove its device: the first and the last look. */
const firstCheckMs = 250;
const longestCheckMs = 64_000;
/** So long after it was missed a pod's device must still be missing before what the pod has is removed. */
const goneMs = 3000;

/** What the keeper needs of its surroundings. */
export interface KeeperParts {
  /** A netfilter socket. */
  readonly socket: NetlinkSocket;
  /** The names of the host's devices. */
  readonly devices: () => ReadonlySet<string>;
  /** Has all events that are queued told at once. */
  readonly drain: () => void;
  /** Called when something is to be looked at. */
  readonly ask: () => void;
}

/** What a look came to, in lines for people. */
export interface KeeperOutcome {
  readonly repaired: readonly string[];
  /** What pods had that are gone. */
  readonly removed: readonly string[];
  readonly failed: readonly string[];
  /** Milliseconds until there is more to do. */
  readonly next: number | undefined;
}

/**
 * A transaction of a plugin changes what is wanted; one of anybody else asks for a look, which brings back what the kernel
 * lacks. All that was committed before a repair has been followed: the repair names the generation of the ruleset that it
 * is for, so that it never undoes a DEL.
 */
export class PodKeeper {
  readonly events: PodEvents = new PodEvents((one) => this.#follow(one));
  readonly #parts: KeeperParts;
  /** Undefined until the tables were read: what is not known is not empty. */
  #snapshots: readonly PodSnapshot[] | undefined;
  #dirty = true;
  /** Events were lost, and a plugin's among them, perhaps. */
  #lost = false;
  /** Counts what concerned the tables, so that a plan from before is known. */
  #version = 0;
  #process = "";
  /** Devices of pods that got something back lately, and when to look next whether they are still there. */
  #restored: { readonly devices: Set<string>; wait: number; at: number } | undefined;

  /** Devices that elements name and the host has not, and since when. */
  readonly #missed = new Map<string, number>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Events were lost. */
  lost(): void {
    this.events.lost();
    this.events.generation = undefined;
    this.#lost = true;
    this.#dirty = true;
    this.#version++;
    this.#parts.ask();
  }

  /** Puts right what is to be put right; costs nothing when nothing is. */
  look(): KeeperOutcome {
    const repaired: string[] = [];
    const removed: string[] = [];
    const failed: string[] = [];
    let busy = false;
    try {
      if (this.#snapshots === undefined) this.#snapshots = this.#read();
      this.#takeBack();
      removed.push(...this.#removeGone());
      if (this.#dirty) {
        this.#dirty = false;
        for (const snapshot of this.#snapshots) {
          const text = this.#repair(snapshot);
          if (text === undefined) busy = true;
          else if (text !== "") repaired.push(text);
        }
        // What was lost stays so until every table has been compared.
        this.#lost &&= busy || this.#dirty;
      }
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      this.#dirty = true;
      failed.push(`what the plugins made for pods in nf_tables cannot be kept: ${errorText(error)}`);
    }
    if (busy) this.#dirty = true;
    return { repaired, removed, failed, next: busy ? busyMs : this.#untilCheck() };
  }

  #follow({ events, process, byPlugin }: PodCommit): void {
    this.#version++;
    if (this.#snapshots === undefined) return;
    if (!byPlugin) {
      this.#process = process;
      this.#dirty = true;
      this.#parts.ask();
      return;
    }
    for (const event of events) this.#snapshotOf(event)?.follow(event);
  }

  #snapshotOf({ body }: Reply): PodSnapshot | undefined {
    const table = tableOf(body);
    return this.#snapshots?.find((snapshot) => snapshot.table === table);
  }

  /** A plugin's events that are told later than this was read are followed once more, which changes nothing. */
  #read(): readonly PodSnapshot[] {
    const { socket, drain } = this.#parts;
    this.events.generation = readGeneration(socket);
    const snapshots = podTables.map((table) => new PodSnapshot(table, readPodElements(socket, table)));
    this.#lost = false;
    this.#snapshots = snapshots;
    drain();
    return snapshots;
  }

  /** Returns what was repaired, "" when nothing was to be, undefined when others left no time for it. */
  #repair(snapshot: PodSnapshot): string | undefined {
    const { socket } = this.#parts;
    let plan: { readonly repair: PodRepair; readonly version: number } | undefined;
    for (let attempt = 0; attempt < commitAttempts; attempt++) {
      const generation = this.#catchUp();
      if (generation === undefined) continue;
      if (plan?.version !== this.#version) plan = { version: this.#version, repair: this.#plan(snapshot) };
      const { requests, text, devices, gone } = plan.repair;
      const outcome = commit(socket, requests, generation);
      if (outcome.kind === "stale") continue;
      if (outcome.kind === "refused") {
        const [refusal] = outcome.refusals;
        if (refusal !== undefined) throw refusal.error;
      }
      snapshot.remove(gone);
      if (requests.length === 0) return "";
      this.events.ownGeneration = generation + 1;
      this.#watch(devices);
      return `${text}, ${this.#lost ? "after events were lost" : `after a change by process ${this.#process || "?"}`}`;
    }
    return undefined;
  }

  /** Follows all that was told, and returns the generation that it leads to; undefined when something was lost. */
  #catchUp(): number | undefined {
    const { events } = this;
    events.generation ??= readGeneration(this.#parts.socket);
    this.#parts.drain();
    return events.generation;
  }

  #plan(snapshot: PodSnapshot): PodRepair {
    const { socket } = this.#parts;
    const { table } = snapshot;
    const present = readPodElements(socket, table);
    const devices = this.#parts.devices();
    const left = new Set<string>();
    for (const elements of present.values()) for (const { comment = "" } of elements.values()) left.add(comment);
    this.#noteMissed(left, devices);
    if (this.#lost) snapshot.merge(present);
    // Where a plugin's transaction may have been missed, what a pod has less than before may be what its plugin wants.
    const known = new Map<string, boolean>();
    const isThere = ({ comment = "" }: SetElement): boolean => {
      let there = known.get(comment);
      if (there === undefined) {
        const device = findOwner(comment)?.device;
        const unclear = this.#lost && (device === undefined || left.has(comment));
        there = !unclear && (device === undefined || devices.has(device));
        known.set(comment, there);
      }
      return there;
    };
    const damage = findPodDamage(socket, table, [...snapshot.sets.keys()]);
    return planPodRepair(snapshot, { present, damage }, isThere);
  }

  #watch(devices: readonly string[]): void {
    const all = new Set([...(this.#restored?.devices ?? []), ...devices]);
    if (all.size === 0) return;
    this.#restored = { devices: all, wait: firstCheckMs, at: performance.now() + firstCheckMs };
  }

  #untilCheck(): number | undefined {
    const times = [...this.#missed.values()].map((since) => since + goneMs);
    if (this.#restored !== undefined) times.push(this.#restored.at);
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - performance.now());
  }

  /** A saved ruleset that is loaded again brings back what pods had that are gone. Their addresses are others' by then. */
  #noteMissed(comments: ReadonlySet<string>, devices: ReadonlySet<string>): void {
    const now = performance.now();
    for (const comment of comments) {
      const device = findOwner(comment)?.device;
      if (device === undefined || devices.has(device) || this.#missed.has(device)) continue;
      this.#missed.set(device, now);
    }
  }

  /** Removes what pods have whose device is still missing. Returns what it was. */
  #removeGone(): readonly string[] {
    const latest = performance.now() - goneMs;
    const due = [...this.#missed].filter(([, since]) => since <= latest).map(([device]) => device);
    if (due.length === 0) return [];
    const gone = new Set(due).difference(this.#parts.devices());
    const texts = gone.size === 0 ? [] : this.#sweep(gone);
    for (const device of due) this.#missed.delete(device);
    return texts;
  }

  /** Removes what the pods behind these devices have. */
  #sweep(gone: ReadonlySet<string>): readonly string[] {
    const { socket } = this.#parts;
    return podTables.flatMap((table) => {
      const part = { table, sets: listPodSets(socket, table) };
      const count = sweepSets(
        socket,
        () => part,
        ({ device }) => device !== undefined && gone.has(device),
      );
      if (count === 0) return [];
      return [`${count} elements of pods that are gone in table ${tableText(table)} (${[...gone].join(", ")})`];
    });
  }

  /** Takes out what was brought back for a pod whose DEL was under way: it had found nothing to remove. */
  #takeBack(): void {
    const restored = this.#restored;
    if (restored === undefined || performance.now() < restored.at) return;
    const devices = this.#parts.devices();
    const gone = restored.devices.difference(devices);
    if (gone.size > 0) this.#sweep(gone);
    for (const device of gone) restored.devices.delete(device);
    restored.wait *= 2;
    restored.at = performance.now() + restored.wait;
    if (restored.wait > longestCheckMs || restored.devices.size === 0) this.#restored = undefined;
  }
}

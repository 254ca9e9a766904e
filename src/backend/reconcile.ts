import { BackOff } from "../base/back-off.ts";
import { errorText } from "../base/error.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { SyscallError } from "../sys/errno.ts";
import { ensureSysctl } from "../sys/sysctl.ts";
import { applyChanges } from "./apply.ts";
import type { Change } from "./change.ts";
import { type Changes, planChanges } from "./diff.ts";
import type { Overlay } from "./overlay.ts";
import { readPresent } from "./present.ts";

/** The device, the device made anew, the entries; a further round only where somebody else changes the same things. */
const rounds = 5;

/** A change that was not made. */
export interface FailedChange {
  readonly change: Change;
  /** The kernel's reason, now or when it was last tried. */
  readonly reason: string;
  /** True when this is news: it was not known from an earlier time. */
  readonly fresh: boolean;
}

/** What one comparison came to. */
export interface Outcome {
  readonly done: readonly Change[];
  readonly failed: readonly FailedChange[];
  /** True when the device itself and its address are as wanted. */
  readonly deviceReady: boolean;
  /** The device's index, undefined when there is none. */
  readonly deviceIndex: number | undefined;
}

/**
 * Makes the kernel hold what is wanted, as often as it is asked to. What the kernel refuses is tried again with waits
 * from 1 to 30 s, and stops nothing else.
 */
export class Reconciler {
  readonly #socket: NetlinkSocket;
  readonly #backOff = new BackOff();
  #knownIndex: number | undefined;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** When something is to be tried again, in the clock of `reconcile`'s `now`. */
  nextAt(): number | undefined {
    return this.#backOff.nextAt();
  }

  /**
   * Compares and repairs; with `keep` nothing is taken away, since what is wanted may not be all of it. Throws an Error when the device's name is taken by one of another kind, and a SyscallError
   * when the kernel does not answer.
   */
  reconcile(overlay: Overlay, now: number, { keep }: { readonly keep: boolean } = { keep: false }): Outcome {
    const progress: Progress = { done: new Map(), failed: new Map(), now };
    for (let round = 1; ; round++) {
      const { changes: all, deviceIndex } = this.#compare(overlay);
      const changes = keep ? withoutRemovals(all) : all;
      const device = changes.device.filter((change) => this.#isDue(change, progress));
      for (const change of this.#apply(device, progress)) progress.done.set(keyOf(change), change);
      if (device.length > 0 && round < rounds) continue;
      // Entries do not depend on each other: what was sent and not refused needs no second look.
      const due = device.length > 0 ? [] : this.#dueEntries(changes.entries, progress);
      const entries = this.#apply(due, progress);
      const { done, failed } = progress;
      this.#forgetAllBut(changes, new Set([...done.values(), ...entries]));
      return {
        done: [...done.values(), ...entries],
        failed: [...failed.values()],
        deviceReady: changes.device.length === 0,
        deviceIndex,
      };
    }
  }

  #compare(overlay: Overlay): { readonly changes: Changes; readonly deviceIndex: number | undefined } {
    const present = readPresent(this.#socket, overlay.family, overlay.device.name);
    const deviceIndex = present.device?.index;
    const changes = planChanges(present, overlay);
    if (deviceIndex !== undefined && deviceIndex !== this.#knownIndex) refuseRouterAdvertisements(overlay.device.name);
    this.#knownIndex = deviceIndex;
    return { changes, deviceIndex };
  }

  #isDue(change: Change, { done, failed, now }: Progress): boolean {
    const key = keyOf(change);
    if (failed.has(key)) return false;
    if (done.delete(key)) {
      const reason = "the kernel took it, but it did not last";
      failed.set(key, { change, reason, fresh: this.#backOff.fail(key, reason, now) });
      return false;
    }
    if (this.#backOff.isDue(key, now)) return true;
    failed.set(key, { change, reason: this.#backOff.failureOf(key) ?? "", fresh: false });
    return false;
  }

  /** There may be 15,000 of them, whose keys cost more than they themselves: only what failed once is known by a key. */
  #dueEntries(entries: readonly Change[], progress: Progress): readonly Change[] {
    return this.#backOff.isEmpty ? entries : entries.filter((change) => this.#isDue(change, progress));
  }

  #forgetAllBut(changes: Changes, done: ReadonlySet<Change>): void {
    if (this.#backOff.isEmpty) return;
    const wanted = [...changes.device, ...changes.entries].filter((change) => !done.has(change));
    this.#backOff.keepOnly(new Set(wanted.map(keyOf)));
  }

  /** Sends the changes and returns those that were not refused. */
  #apply(batch: readonly Change[], { failed, now }: Progress): readonly Change[] {
    const refused = new Set<Change>();
    for (const { change, error } of applyChanges(this.#socket, batch)) {
      const key = keyOf(change);
      const reason = errorText(error);
      refused.add(change);
      failed.set(key, { change, reason, fresh: this.#backOff.fail(key, reason, now) });
    }
    return refused.size === 0 ? batch : batch.filter((change) => !refused.has(change));
  }
}

/** What one call of `reconcile` has come to so far, by the changes' keys. */
interface Progress {
  /** Of the device alone: changes that are looked at again. */
  readonly done: Map<string, Change>;
  readonly failed: Map<string, FailedChange>;
  readonly now: number;
}

function withoutRemovals({ device, entries }: Changes): Changes {
  return { device: device.filter(({ removal }) => !removal), entries: entries.filter(({ removal }) => !removal) };
}

/** What is sent, with all its values: a change that has become another one is tried at once. */
function keyOf(change: Change): string {
  return change.requests.map(({ text, body }) => `${text} ${body.toHex()}`).join("; ");
}

/** As upstream does, where it can be done: nobody on the tunnel announces routers. */
function refuseRouterAdvertisements(device: string): void {
  try {
    ensureSysctl(`net/ipv6/conf/${device}/accept_ra`, "0");
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
  }
}

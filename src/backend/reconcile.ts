import { BackOff } from "../base/back-off.ts";
import { errorText } from "../base/error.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { SyscallError } from "../sys/errno.ts";
import { ensureSysctl } from "../sys/sysctl.ts";
import { applyChanges } from "./apply.ts";
import { type Change, type Changes, planChanges } from "./diff.ts";
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
    const seen = new Set<string>();
    for (let round = 1; ; round++) {
      const { changes: all, deviceIndex } = this.#compare(overlay);
      const changes = keep ? withoutRemovals(all) : all;
      for (const change of [...changes.device, ...changes.entries]) seen.add(keyOf(change));
      const device = changes.device.filter((change) => this.#isDue(change, progress));
      const batch = device.length > 0 ? device : changes.entries.filter((change) => this.#isDue(change, progress));
      this.#apply(batch, progress);
      // Entries do not depend on each other: what was sent and not refused needs no second look.
      if (device.length > 0 && round < rounds) continue;
      const { done, failed } = progress;
      this.#backOff.keepOnly(new Set([...seen].filter((key) => !done.has(key))));
      return {
        done: [...done.values()],
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

  #apply(batch: readonly Change[], { done, failed, now }: Progress): void {
    for (const { change, error } of applyChanges(this.#socket, batch)) {
      const key = keyOf(change);
      const reason = errorText(error);
      failed.set(key, { change, reason, fresh: this.#backOff.fail(key, reason, now) });
    }
    for (const change of batch) {
      const key = keyOf(change);
      if (!failed.has(key)) done.set(key, change);
    }
  }
}

/** What one call of `reconcile` has come to so far, by the changes' keys. */
interface Progress {
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

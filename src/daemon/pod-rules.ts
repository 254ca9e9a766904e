import { BackOff } from "../base/back-off.ts";
import { PodKeeper } from "../firewall/pod-keeper.ts";
import { listLinks } from "../netlink/link.ts";
import type { NetlinkEvents } from "../netlink/events.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import type { Log } from "../sys/log.ts";
import { LookSchedule } from "./schedule.ts";

/** What the keeper of the pods' tables is given. */
export interface PodRulesParts {
  readonly netfilter: NetlinkSocket;
  readonly route: NetlinkSocket;
  readonly log: Log;
  /** Told what a look threw. */
  readonly failed: (error: unknown) => void;
}

/** Keeps the plugins' tables as the plugins made them, and tells the log of each repair, and readiness of what failed. */
export class PodRules implements Disposable {
  readonly keeper: PodKeeper;
  readonly #log: Log;
  readonly #trouble = new BackOff();
  readonly #schedule: LookSchedule;
  #source: NetlinkEvents | undefined;
  #missing: readonly string[] = [];

  constructor({ netfilter, route, log, failed }: PodRulesParts) {
    this.#log = log;
    this.#schedule = new LookSchedule(async () => this.#look(), failed);
    this.keeper = new PodKeeper({
      socket: netfilter,
      devices: () => new Set(listLinks(route).map(({ name }) => name)),
      drain: () => this.#source?.drain(),
      ask: () => this.#schedule.ask(),
    });
  }

  /** Begins, once events come from where the keeper is told of them. */
  start(source: NetlinkEvents): void {
    this.#source = source;
    this.#schedule.ask();
  }

  /** What the plugins made and cannot be brought back, one line each. */
  get missing(): readonly string[] {
    return this.#missing;
  }

  /** Settles when all that was asked for before has been looked at. */
  settled(): Promise<void> {
    return this.#schedule.settled();
  }

  [Symbol.dispose](): void {
    this.#schedule[Symbol.dispose]();
  }

  #look(): number | undefined {
    const now = performance.now();
    const { repaired, removed, failed, next } = this.keeper.look();
    this.#missing = failed;
    for (const text of removed) this.#log.warn(`${text}: removed`);
    for (const text of repaired) this.#log.warn(`${text}: repaired`);
    for (const text of failed) if (this.#trouble.fail(troubleKey, text, now)) this.#log.error(text);
    if (failed.length === 0) this.#trouble.forget(troubleKey);
    const retry = this.#trouble.nextAt();
    return retry === undefined ? next : retry - now;
  }
}

const troubleKey = "look";

import { families } from "../addr/ip.ts";
import { BackOff } from "../base/back-off.ts";
import { applyFirewall, type FirewallOutcome, hasFirewalld } from "../firewall/firewall.ts";
import type { FirewallSettings } from "../firewall/flannel-table.ts";
import { listLegacyAdvice } from "../firewall/legacy.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { SyscallError } from "../sys/errno.ts";
import type { Log } from "../sys/log.ts";
import { firewalldText } from "./traffic-report.ts";

/**
 * The firewall for pods' packets: masquerade, and forwarding where the host would drop them. `follow` is told what is
 * wanted; each `look` makes the kernel that, and may come at any time.
 */
export class Traffic {
  readonly #socket: NetlinkSocket;
  readonly #log: Log;
  /** What failed or stands in the way, so that the same is told once. */
  readonly #trouble = new BackOff();
  #settings: readonly FirewallSettings[] = [];
  #missing: readonly string[] = [];
  /** True once what is wanted now was in force. */
  #settled = false;
  #firewalldTold = false;
  #legacyTold = false;

  /** The socket is a netfilter one. */
  constructor(socket: NetlinkSocket, log: Log) {
    this.#socket = socket;
    this.#log = log;
  }

  /** The port of the socket by which this changes things. */
  get port(): number {
    return this.#socket.port;
  }

  /** What is wanted and not in force, one line each. */
  get missing(): readonly string[] {
    return this.#missing;
  }

  /** Makes what is wanted from now on, and returns what is missing. */
  follow(settings: readonly FirewallSettings[]): readonly string[] {
    const text = JSON.stringify(settings, textOfBytes);
    if (text !== JSON.stringify(this.#settings, textOfBytes)) this.#settled = false;
    this.#settings = settings;
    this.look();
    return this.#missing;
  }

  /** When something is to be tried again, in the clock of performance.now(). */
  nextAt(): number | undefined {
    return this.#missing.length === 0 ? undefined : this.#trouble.nextAt();
  }

  /** Compares and puts right. */
  look(): void {
    const now = performance.now();
    const outcomes = this.#settings.map((settings) => applyFirewall(this.#socket, settings));
    for (const outcome of outcomes) this.#tell(outcome, now);
    this.#missing = outcomes.flatMap(({ failed }) => failed);
    if (this.#missing.length === 0 && this.#settings.length > 0) this.#settled = true;
    const told = outcomes.flatMap(({ failed, notRemoved, obstacles }) => [...failed, ...notRemoved, ...obstacles]);
    this.#trouble.keepOnly(new Set(told));
    this.#tellFirewalld();
    this.#tellLegacy();
  }

  #tell({ repaired, removed, failed, notRemoved, obstacles }: FirewallOutcome, now: number): void {
    for (const text of repaired) {
      if (this.#settled) this.#log.warn(`${text}: repaired`);
      else this.#log.info(`${text}: set up`);
    }
    for (const text of removed) this.#log.info(`${text}: removed, tartan's rules are in its place`);
    for (const text of [...failed, ...notRemoved]) if (this.#trouble.fail(text, text, now)) this.#log.error(text);
    for (const text of obstacles) if (this.#trouble.fail(text, text, now)) this.#log.warn(text);
  }

  /** Once: each of its reloads makes its table anew. */
  #tellFirewalld(): void {
    const known = this.#settings.some(({ pods }) => pods !== undefined);
    if (this.#firewalldTold || !known || !this.#seesFirewalld()) return;
    this.#firewalldTold = true;
    this.#log.warn(firewalldText(this.#settings));
  }

  /** Where nothing can be read, the families' outcomes say so. */
  #seesFirewalld(): boolean {
    try {
      return hasFirewalld(this.#socket);
    } catch (error) {
      if (error instanceof SyscallError) return false;
      throw error;
    }
  }

  /** Once: nobody is told when such rules change, and reading them costs more the more there are. */
  #tellLegacy(): void {
    if (this.#legacyTold || !this.#settled) return;
    this.#legacyTold = true;
    for (const family of families) {
      const wanted = this.#settings.find((settings) => settings.family === family);
      const network = wanted?.forward === true ? wanted.pods?.network : undefined;
      for (const text of listLegacyAdvice(family, network)) this.#log.warn(text);
    }
  }
}

function textOfBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? value.toHex() : value;
}

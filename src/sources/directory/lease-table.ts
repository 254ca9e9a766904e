import { parseLeaseKey } from "../../lease/key.ts";
import type { Lease } from "../../lease/lease.ts";
import { decodeLeaseAttributes, leaseOf, sameAttributes } from "../../lease/lease-json.ts";
import type { NetworkConfig } from "../../lease/network-config.ts";
import type { LeaseFiles } from "./files.ts";
import type { FileReports } from "./reports.ts";

/** How often a listing is repeated in which files went before they were read. */
const listAttempts = 3;

/**
 * The leases that lie in the files, as they were last readable. A lease is gone only when its file is known to be: an
 * unreadable or broken one keeps what it last said.
 */
export class LeaseTable {
  readonly #files: LeaseFiles;
  readonly #reports: FileReports;
  #leases: ReadonlyMap<string, Lease> | undefined;

  constructor(files: LeaseFiles, reports: FileReports) {
    this.#files = files;
    this.#reports = reports;
  }

  /** By key; undefined until all were read once. Never changed in place, and the same object until something changed. */
  get leases(): ReadonlyMap<string, Lease> | undefined {
    return this.#leases;
  }

  /** Reads all files and returns why that could not be done. Throws a SyscallError. */
  readAll(config: NetworkConfig): string | undefined {
    let absentBefore: ReadonlySet<string> = new Set();
    for (let attempt = 0; attempt < listAttempts; attempt++) {
      const names = this.#files.list();
      if (names === undefined) return `no directory "${this.#files.subnets}"`;
      const { leases, absent } = this.#readListed(names, config);
      // What is listed again and again and never there is a link to nothing: broken, and no reason to wait.
      if (absent.some((name) => !absentBefore.has(name))) {
        absentBefore = new Set(absent);
        continue;
      }
      for (const name of absent) this.#tellBroken(name, undefined, new Error("it leads to no file"));
      this.#reports.forgetLeasesBut(new Set(names));
      this.#put(leases);
      return undefined;
    }
    return `directory "${this.#files.subnets}" changes while it is read`;
  }

  /** Reads single files; of each, `gone` tells whether it was last seen to be removed. */
  readSome(names: ReadonlyMap<string, boolean>, config: NetworkConfig): void {
    if (this.#leases === undefined) return;
    const leases = new Map(this.#leases);
    for (const [name, gone] of names) {
      if (gone && !this.#exists(name)) {
        this.#reports.forget(name);
        leases.delete(name);
        continue;
      }
      // Without an event that says so, a file that is not there is no removed lease: the whole directory may be away.
      const lease = this.#read(name, config);
      if (lease !== undefined && lease !== "absent") leases.set(name, lease);
    }
    this.#put(leases);
  }

  /** `absent` are those that were listed and not there any more: they, or the whole directory, were taken away. */
  #readListed(
    names: readonly string[],
    config: NetworkConfig,
  ): { readonly leases: ReadonlyMap<string, Lease>; readonly absent: readonly string[] } {
    const leases = new Map<string, Lease>();
    const absent: string[] = [];
    for (const name of names) {
      const lease = this.#read(name, config);
      if (lease === "absent") absent.push(name);
      else if (lease !== undefined) leases.set(name, lease);
    }
    return { leases, absent };
  }

  /** The lease in a file, or what it last was when the file cannot be used; undefined when it never could be. */
  #read(name: string, config: NetworkConfig): Lease | "absent" | undefined {
    const last = this.#leases?.get(name);
    let text: string | undefined;
    try {
      const subnets = parseLeaseKey(name);
      text = this.#files.find(name);
      if (text === undefined) return "absent";
      if (subnets[6] !== undefined && config.networks[6] === undefined) {
        throw new Error(`Cannot read lease key "${name}": it has an IPv6 subnet and the network has no IPv6`);
      }
      const lease = leaseOf(name, subnets, decodeLeaseAttributes(text));
      this.#reports.forget(name);
      return last !== undefined && sameAttributes(last, lease) ? last : lease;
    } catch (error) {
      this.#tellBroken(name, text, error);
      return last;
    }
  }

  #tellBroken(name: string, text: string | undefined, error: unknown): void {
    const fate = this.#leases?.has(name) === true ? "what it said before stays in force" : "it is skipped";
    const what = `Cannot use lease file "${this.#files.path(name)}", ${fate}`;
    this.#reports.tell(name, text, new Error(what, { cause: error }));
  }

  #exists(name: string): boolean {
    try {
      return this.#files.find(name) !== undefined;
    } catch {
      return true;
    }
  }

  #put(leases: ReadonlyMap<string, Lease>): void {
    if (this.#leases === undefined || !sameEntries(this.#leases, leases)) this.#leases = leases;
  }
}

function sameEntries<T>(left: ReadonlyMap<string, T>, right: ReadonlyMap<string, T>): boolean {
  if (left.size !== right.size) return false;
  for (const [key, value] of left) if (right.get(key) !== value) return false;
  return true;
}

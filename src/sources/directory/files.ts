import type { Cidr } from "../../addr/cidr.ts";
import { cidrsOverlap } from "../../addr/cidr.ts";
import { type ByFamily, families } from "../../addr/ip.ts";
import { findLeaseKey } from "../../lease/key.ts";
import { listDirectory } from "../../sys/directory.ts";
import { claimFile, ensureDirectory, findFile, findText, removeFile, replaceFile } from "../../sys/file.ts";
import { syncFile } from "../../sys/sync.ts";

/** A lease has some 150 bytes, and net-conf.json not many more: what is larger is something else. */
export const largestFile: number = 1024 * 1024;

const fileMode = 0o644;
const directoryMode = 0o755;

/** flannel's etcd layout as files: `config`, and one file for each lease in `subnets`. Every method may throw a SyscallError. */
export class LeaseFiles {
  readonly config: string;
  readonly subnets: string;

  constructor(directory: string) {
    this.config = `${directory}/config`;
    this.subnets = `${directory}/subnets`;
  }

  /** The names in `subnets`, whether they are keys or not, without those that begin with a dot; undefined without it. */
  list(): readonly string[] | undefined {
    return listDirectory(this.subnets)?.filter((name) => !name.startsWith("."));
  }

  /** The subnets of all keys; a file counts, whatever is in it. Throws an Error when there is no directory. */
  taken(): readonly TakenSubnets[] {
    const names = this.list();
    if (names === undefined) throw new Error(`Cannot list leases: there is no directory "${this.subnets}"`);
    const taken: TakenSubnets[] = [];
    for (const key of names) {
      const subnets = findLeaseKey(key);
      if (subnets !== undefined) taken.push({ key, subnets });
    }
    return taken;
  }

  path(key: string): string {
    return `${this.subnets}/${key}`;
  }

  /** The content of a lease's file, undefined when there is none. */
  find(key: string): string | undefined {
    return findText(this.path(key), largestFile);
  }

  /** Makes `subnets`; false when it is there. */
  makeSubnets(): boolean {
    using found = findFile(this.subnets);
    if (found !== undefined) return false;
    ensureDirectory(this.subnets, directoryMode);
    return true;
  }

  /**
   * Puts a new lease in place, complete at once. False when the key is taken, or became so by a lease of another length
   * or with another second family: whoever puts its lease in place and then looks, sees the other that did so before,
   * so that two which overlap never both stay. Both may give up; they try again.
   */
  claim(key: string, subnets: ByFamily<Cidr>, text: string): boolean {
    if (!claimFile(this.path(key), text, fileMode)) return false;
    const others = this.taken().filter((other) => other.key !== key);
    if (others.some((other) => subnetsOverlap(other.subnets, subnets))) {
      this.remove(key);
      return false;
    }
    syncFile(this.path(key));
    return true;
  }

  replace(key: string, text: string): void {
    replaceFile(this.path(key), text, fileMode);
    syncFile(this.path(key));
  }

  remove(key: string): void {
    removeFile(this.path(key));
  }
}

/** A key that somebody has, with its subnets. */
export interface TakenSubnets {
  readonly key: string;
  readonly subnets: ByFamily<Cidr>;
}

function subnetsOverlap(left: ByFamily<Cidr>, right: ByFamily<Cidr>): boolean {
  return families.some((family) => {
    const [one, other] = [left[family], right[family]];
    return one !== undefined && other !== undefined && cidrsOverlap(one, other);
  });
}

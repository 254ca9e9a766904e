/**
 * The addresses of one network on disk, in the reference's form (plugins v1.9.1, host-local/backend/disk), which both may
 * use by turns: a file for each address, named by its canonical text, that holds the container's id and, after a line
 * end, the interface; `last_reserved_ip.N` with the address that range set N gave out last; `lock`, held by flock(2).
 */
import { findIp, formatIp, type IpAddress } from "../../addr/ip.ts";
import { runAll } from "../../base/run-all.ts";
import { listDirectory, listEntries, listOtherNames } from "../../sys/directory.ts";
import { errno, failedWith } from "../../sys/errno.ts";
import {
  createFile,
  ensureDirectory,
  findFile,
  findText,
  linkFile,
  overwriteText,
  removeFile,
  replaceFile,
} from "../../sys/file.ts";
import { lockFileWithin } from "../../sys/lock.ts";
import type { AddressBook } from "./allocator.ts";
import { holderLinkName, tidyLinks } from "./holder-link.ts";
import { findOwner, type Holder, OwnFileFinder } from "./owner.ts";
import { type BootMark, dropEarlierBoots, findBootMark, hasMark, setMark } from "./reclaim.ts";

const directoryMode = 0o755;
const lockMode = 0o750;
const addressMode = 0o600;
/** Milliseconds; then the runtime is told to try again later. */
const lockPatience = 10_000;

/** What link(2) answers on a file system that has no hard links. */
const noHardLinks = [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS];

interface OwnFiles {
  readonly named: readonly string[];
  readonly unnamed: readonly string[];
  readonly failure: Error | undefined;
}

/**
 * A network's addresses as they stand under the lock. While nobody but us has changed the directory in this boot, which
 * its mark tells, the holder's link leads to all that the holder has; otherwise every file is looked at.
 */
export class AddressStore implements AddressBook, Disposable {
  readonly #directory: string;
  readonly #holder: Holder;
  readonly #lock: Disposable;
  /** The name of the holder's link. */
  readonly #link: string;
  readonly #mark: BootMark | undefined;
  /** Every address has its link. */
  #complete: boolean;
  #changed = false;
  /** The holder's link was made here; it goes again unless it leads to an address. */
  #linkMade = false;
  #claimed = 0;

  constructor(directory: string, holder: Holder, lock: Disposable) {
    this.#directory = directory;
    this.#holder = holder;
    this.#lock = lock;
    this.#link = holderLinkName(holder);
    this.#mark = findBootMark();
    this.#complete = this.#mark !== undefined && (hasMark(directory, this.#mark) || this.#tidy(this.#mark));
  }

  get own(): readonly IpAddress[] {
    if (this.#complete && findOwner(this.#path(this.#link)) === undefined) return [];
    const { named, unnamed } = this.#findOwn();
    return [...named, ...unnamed].flatMap((name) => findIp(name) ?? []);
  }

  isTaken(address: IpAddress): boolean {
    return findOwner(this.#path(formatIp(address))) !== undefined;
  }

  lastReserved(setIndex: number): IpAddress | undefined {
    return findIp(findText(this.#path(lastReservedName(setIndex)))?.trim() ?? "");
  }

  /**
   * Gives an address to the holder; false when somebody has it. Its file is complete from its first moment, where the file
   * system has hard links; one that names nobody, as a crash or a loss of power leaves it, is replaced. Throws a
   * SyscallError.
   */
  claim(address: IpAddress): boolean {
    const path = this.#path(formatIp(address));
    if (!this.#place(path)) {
      if (findOwner(path) !== undefined) return false;
      removeFile(path);
      if (!this.#place(path)) return false;
    }
    this.#claimed++;
    return true;
  }

  /**
   * Remembers what a range set gave out last. It is written over the text before: a new file for each ADD would cost more
   * than all other files together, and whoever cannot read it begins at the range's start. Throws a SyscallError.
   */
  setLastReserved(setIndex: number, address: IpAddress): void {
    const path = this.#path(lastReservedName(setIndex));
    const text = formatIp(address);
    const before = findText(path) ?? "";
    if (before !== "" && before.length <= text.length) overwriteText(path, text);
    else replaceFile(path, text, addressMode);
  }

  /** Takes an address back that was claimed just now. Throws a SyscallError. */
  release(address: IpAddress): void {
    removeFile(this.#path(formatIp(address)));
    this.#claimed--;
  }

  /**
   * Takes back all that the holder has; where nothing names its interface, what its container has by old files. Every
   * file is tried. Throws what failed, and also when a file could not be read that may be the holder's.
   */
  releaseOwn(): void {
    const { named, unnamed, failure } = this.#findOwn();
    const names = named.length > 0 ? named : unnamed;
    this.#changed = true;
    runAll([
      ...names.map((name) => () => removeFile(this.#path(name))),
      (): void => {
        if (failure !== undefined) throw failure;
      },
    ]);
    // Last, since it leads the next DEL to what could not be removed.
    removeFile(this.#path(this.#link));
  }

  [Symbol.dispose](): void {
    try {
      if (this.#linkMade && this.#claimed === 0) removeFile(this.#path(this.#link));
      if (this.#changed && this.#complete && this.#mark !== undefined) setMark(this.#directory, this.#mark);
    } finally {
      this.#lock[Symbol.dispose]();
    }
  }

  /** Puts the directory in order that somebody else has changed, or a process that was killed. */
  #tidy(mark: BootMark): boolean {
    const kept = dropEarlierBoots(this.#directory, mark);
    const entries = listEntries(this.#directory) ?? [];
    // Only who holds the lock makes temporary files, so that one that is there was left by a process that was killed.
    for (const { name } of entries) if (isTemporary(name)) removeFile(this.#path(name));
    this.#changed = true;
    return tidyLinks(this.#directory, entries) && kept;
  }

  /** Gives the name to the holder's file; false when something has it. */
  #place(path: string): boolean {
    const link = this.#ensureLink();
    try {
      return linkFile(link, path);
    } catch (error) {
      if (!failedWith(error, ...noHardLinks)) throw error;
    }
    // Without its link the holder finds the address by looking at every file, as the reference does.
    this.#complete = false;
    removeFile(link);
    return createWhole(path, contentOf(this.#holder));
  }

  /** The file of the holder's addresses, under the name of its link. */
  #ensureLink(): string {
    const path = this.#path(this.#link);
    // A second one would make the address claimed before lose its name, should this one not be readable for once.
    if (this.#claimed > 0) return path;
    const { containerId, interfaceName } = this.#holder;
    this.#changed = true;
    const owner = findOwner(path);
    if (owner?.containerId === containerId && owner.interfaceName === interfaceName) return path;
    if (owner !== undefined) removeFile(path);
    this.#linkMade = true;
    createFile(path, contentOf(this.#holder), addressMode);
    if (this.#mark !== undefined) setMark(path, this.#mark);
    return path;
  }

  /** The holder's address files: those that name its interface, and those of old versions, which name none. */
  #findOwn(): OwnFiles {
    const names = this.#complete ? listOtherNames(this.#directory, this.#link) : (listDirectory(this.#directory) ?? []);
    const finder = new OwnFileFinder(this.#holder);
    const named: string[] = [];
    const unnamed: string[] = [];
    for (const name of names) {
      if (!mayBeAddress(name)) continue;
      const owner = finder.find(this.#path(name));
      if (owner === undefined || findIp(name) === undefined) continue;
      if (owner.interfaceName === undefined) unnamed.push(name);
      else named.push(name);
    }
    return { named, unnamed, failure: finder.failure };
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

/** Locks a network's directory, which is made when it is missing, and puts it in order. Throws a SyscallError. */
export function openStore(directory: string, holder: Holder): AddressStore {
  ensureDirectory(directory, directoryMode);
  const lock = lockFileWithin(`${directory}/lock`, lockMode, lockPatience);
  try {
    return new AddressStore(directory, holder, lock);
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/** Like openStore, but undefined when the network has never given out an address. */
export function findStore(directory: string, holder: Holder): AddressStore | undefined {
  using found = findFile(directory);
  return found === undefined ? undefined : openStore(directory, holder);
}

function contentOf({ containerId, interfaceName }: Holder): string {
  return `${containerId}\r\n${interfaceName}`;
}

/** Makes a file with its content, or none; false when something has the name. */
function createWhole(path: string, text: string): boolean {
  try {
    createFile(path, text, addressMode);
    return true;
  } catch (error) {
    if (failedWith(error, errno.EEXIST)) return false;
    removeFile(path);
    throw error;
  }
}

function lastReservedName(setIndex: number): string {
  return `last_reserved_ip.${setIndex}`;
}

/** A quick look before the file is read: addresses begin with a hexadecimal digit or a colon, no other file of ours does. */
function mayBeAddress(name: string): boolean {
  const first = name.charAt(0);
  return (first >= "0" && first <= "9") || (first >= "a" && first <= "f") || first === ":";
}

/** A name that claimFile and replaceFile give their temporary files. */
function isTemporary(name: string): boolean {
  return name.startsWith(".") && /^\..+\.tartan-[\w-]+$/.test(name);
}

/**
 * Takes back what was reserved before the machine was started anew: no pod of then lives, and its DEL may never come
 * (containernetworking/cni#204).
 *
 * What is known to be reserved in a boot has that boot's mark: its modification time is a date before 1970, which no
 * clock gives, made from the boot's id. The reference looks only at names and contents, so that it sees nothing of it; what
 * the reference reserves has no mark, and gets one when the first ADD or DEL of ours in a boot finds it. The mark of
 * `lock` tells that this has been done. So an address is dropped only if it was there in an earlier boot for certain,
 * whoever worked on the node in between; where the file system keeps no such dates, none is.
 */
import { listDirectory } from "../../sys/directory.ts";
import { SyscallError } from "../../sys/errno.ts";
import { modificationTime, setModificationTime } from "../../sys/file-time.ts";
import { findText, removeFile } from "../../sys/file.ts";
import { isReservationName } from "./holder-link.ts";

const bootIdFile = "/proc/sys/kernel/random/boot_id";

/** Which boot something was reserved in: seconds before 1970, less than 0. */
export type BootMark = number;

/**
 * The mark of a boot by its id, a random UUID: its first 30 bits as an even number of seconds, between 1901 and 1970,
 * which every file system with such dates can keep. Undefined for what is no such id.
 */
export function bootMark(bootId: string): BootMark | undefined {
  if (bootId.charAt(8) !== "-") return undefined;
  for (let index = 0; index < 8; index++) if (!"0123456789abcdef".includes(bootId.charAt(index))) return undefined;
  return -2 * (1 + (Number.parseInt(bootId.slice(0, 8), 16) >>> 2));
}

/** True for what has the mark of another boot than the present one; what has none may be anybody's. */
export function isOfEarlierBoot(time: number, present: BootMark): boolean {
  return time < 0 && time !== present;
}

/** The mark of the present boot; undefined where it cannot be told. */
export function findBootMark(): BootMark | undefined {
  return bootMark(tryTo(() => findText(bootIdFile)) ?? "");
}

/**
 * Once in a boot, drops the reservations of earlier boots and marks the others. The caller holds the network's lock. False
 * where marks cannot be kept.
 */
export function dropEarlierBoots(directory: string, mark: BootMark): boolean {
  const lock = `${directory}/lock`;
  if (hasMark(lock, mark)) return true;
  if (tryTo(() => keepsMarks(lock, mark)) !== true) return false;
  for (const name of tryTo(() => listDirectory(directory)) ?? []) {
    if (isReservationName(name)) tryTo(() => dropOrMark(`${directory}/${name}`, mark));
  }
  setMark(lock, mark);
  return true;
}

/** True for a file or directory that has the mark. */
export function hasMark(path: string, mark: BootMark): boolean {
  return tryTo(() => modificationTime(path)) === mark;
}

/** Gives a file or directory the mark, which it loses with the next change of its content. */
export function setMark(path: string, mark: BootMark): void {
  tryTo(() => setModificationTime(path, mark));
}

/** A file system that makes another date of it would make a living pod's mark one of an earlier boot. An odd one is no mark. */
function keepsMarks(lock: string, mark: BootMark): boolean {
  setModificationTime(lock, mark + 1);
  return modificationTime(lock) === mark + 1;
}

function dropOrMark(path: string, mark: BootMark): void {
  const time = modificationTime(path);
  if (isOfEarlierBoot(time, mark)) removeFile(path);
  else if (time !== mark) setModificationTime(path, mark);
}

/** An address that stays reserved for nobody is no reason to refuse a pod. */
function tryTo<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

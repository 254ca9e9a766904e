/**
 * Whose an address file is: `ID\r\nINTERFACE`, or the id alone in those of old versions; white space around is nothing.
 *
 * The reference makes the file before it writes to it, so that a loss of power may leave less: nothing, zeros, or the line's
 * end without the interface. All of that is nobody's. A part of an id is taken for an id: an old version may have written
 * it, and the address of a pod that lives must not be given away. It goes with the reservations of an earlier boot.
 */
import { allocate } from "../../base/bytes.ts";
import { encodeText } from "../../base/text.ts";
import { isCniName } from "../../cni/environment.ts";
import { errno, failedWith, SyscallError } from "../../sys/errno.ts";
import { findText } from "../../sys/file.ts";
import { findStart } from "../../sys/small-file.ts";

/** The attachment that addresses are given to and taken from. */
export interface Holder {
  readonly containerId: string;
  readonly interfaceName: string;
}

/** Whose an address is. Old files know no interface. */
export interface Owner {
  readonly containerId: string;
  readonly interfaceName: string | undefined;
}

/** The owner of what cannot be read: no container has this id, but the address may be somebody's. */
const unknownOwner: Owner = { containerId: "", interfaceName: undefined };

/** A file that is no plain file, or that nobody lets us read, will not be readable next time either. */
const neverReadable = [errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM];

/** Undefined for a file that holds no container's id, or not all of it, as one that was emptied, zeroed or torn, and for none. */
export function findOwner(path: string): Owner | undefined {
  try {
    return readOwner(path);
  } catch (error) {
    if (error instanceof SyscallError) return unknownOwner;
    throw error;
  }
}

/** Finds one holder's files among many: nearly all are told by their first bytes, and only the rest is read with care. */
export class OwnFileFinder {
  readonly #holder: Holder;
  readonly #id: Uint8Array;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #failure: SyscallError | undefined;

  constructor(holder: Holder) {
    this.#holder = holder;
    this.#id = encodeText(holder.containerId);
    this.#buffer = allocate(this.#id.length);
  }

  /** Why a file could not be read that may be the holder's. Next time it may be readable. */
  get failure(): SyscallError | undefined {
    return this.#failure;
  }

  /** The owner when the file is the holder's, or its container's without interface. */
  find(path: string): Owner | undefined {
    try {
      return this.#mayBeOwn(path) ? this.#findOwn(path) : undefined;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      if (!failedWith(error, ...neverReadable)) this.#failure ??= error;
      return undefined;
    }
  }

  #findOwn(path: string): Owner | undefined {
    const owner = readOwner(path);
    if (owner?.containerId !== this.#holder.containerId) return undefined;
    return owner.interfaceName === undefined || owner.interfaceName === this.#holder.interfaceName ? owner : undefined;
  }

  #mayBeOwn(path: string): boolean {
    const length = findStart(path, this.#buffer) ?? 0;
    if (length === 0) return false;
    // Only white space may stand before the id; it and control characters come before all others in ASCII.
    if ((this.#buffer[0] ?? 0) <= 0x20) return true;
    if (length < this.#id.length) return false;
    for (let index = 0; index < length; index++) if (this.#buffer[index] !== this.#id[index]) return false;
    return true;
  }
}

function readOwner(path: string): Owner | undefined {
  return parseOwner(findText(path) ?? "");
}

function parseOwner(content: string): Owner | undefined {
  const [containerId = "", interfaceName] = content.trim().split(/\r?\n/);
  const isTorn = interfaceName === undefined ? content.startsWith(`${containerId}\r`) : interfaceName.startsWith("\0");
  return isCniName(containerId) && !isTorn ? { containerId, interfaceName } : undefined;
}

import { allocate, ByteReader } from "../base/bytes.ts";
import { decodeText } from "../base/text.ts";
import { checked, errno, SyscallError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { pathArgument } from "./file.ts";
import { lastErrno, libc, rareLibc } from "./libc.ts";
import { onReadable } from "./readable.ts";

/** Event bits of inotify(7) (include/uapi/linux/inotify.h). */
export const inotify = {
  IN_CLOSE_WRITE: 0x8,
  IN_MOVED_FROM: 0x40,
  IN_MOVED_TO: 0x80,
  IN_CREATE: 0x100,
  IN_DELETE: 0x200,
  IN_DELETE_SELF: 0x400,
  IN_MOVE_SELF: 0x800,
  IN_Q_OVERFLOW: 0x4000,
  IN_IGNORED: 0x8000,
  IN_ONLYDIR: 0x1000000,
} as const;

const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;

/** What the kernel tells about a watched directory: the event bits, and the name in it that they are about. */
export interface WatchEvent {
  readonly mask: number;
  readonly name: string;
}

/** Watches directories by inotify and calls back with what happened, in order; a lost event shows as IN_Q_OVERFLOW. */
export class DirectoryWatcher implements Disposable {
  readonly #fd: Fd;
  readonly #listeners = new Map<number, (event: WatchEvent) => void>();
  readonly #subscription: Disposable;
  readonly #buffer = allocate(65_536);
  #closed = false;

  constructor() {
    this.#fd = new Fd(checked(rareLibc().inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "open inotify"));
    try {
      this.#subscription = onReadable(this.#fd, () => this.#drain());
    } catch (error) {
      this.#fd[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Starts to watch a directory for the events in `mask`; disposing of the result ends it. Throws a SyscallError, also
   * when there is no such directory.
   */
  add(path: string, mask: number, listener: (event: WatchEvent) => void): Disposable {
    const all = mask | inotify.IN_ONLYDIR;
    const watch = checked(
      rareLibc().inotify_add_watch(this.#fd.number, pathArgument(path), all),
      "watch directory",
      path,
    );
    this.#listeners.set(watch, listener);
    return {
      [Symbol.dispose]: (): void => {
        if (this.#listeners.get(watch) !== listener) return;
        this.#listeners.delete(watch);
        rareLibc().inotify_rm_watch(this.#fd.number, watch);
      },
    };
  }

  /** May be called by a listener. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription[Symbol.dispose]();
    this.#fd[Symbol.dispose]();
  }

  #drain(): void {
    while (!this.#closed) {
      const length = libc.read(this.#fd.number, this.#buffer, this.#buffer.length);
      if (length < 0) {
        const number = lastErrno();
        if (number === errno.EAGAIN) return;
        if (number === errno.EINTR) continue;
        throw new SyscallError("read", number, "inotify events");
      }
      this.#dispatch(this.#buffer.slice(0, length));
    }
  }

  /** struct inotify_event { int wd; u32 mask; u32 cookie; u32 len; char name[]; } */
  #dispatch(bytes: Uint8Array): void {
    const reader = new ByteReader(bytes);
    while (reader.remaining > 0 && !this.#closed) {
      const watch = reader.i32();
      const mask = reader.u32();
      reader.skip(4);
      const padded = reader.bytes(reader.u32());
      const end = padded.indexOf(0);
      const name = decodeText(end < 0 ? padded : padded.subarray(0, end));
      if (mask & inotify.IN_Q_OVERFLOW) {
        for (const listener of this.#listeners.values()) listener({ mask, name });
      } else {
        this.#listeners.get(watch)?.({ mask, name });
        if (mask & inotify.IN_IGNORED) this.#listeners.delete(watch);
      }
    }
  }
}

import { errno, failedWith } from "../../sys/errno.ts";
import { DirectoryWatcher, inotify, type WatchEvent } from "../../sys/watch.ts";

const { IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO } = inotify;
const { IN_DELETE_SELF, IN_IGNORED, IN_MOVE_SELF, IN_Q_OVERFLOW } = inotify;

/** A hard link, which puts a new lease in place, shows as IN_CREATE alone. */
const entryMask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
const selfMask = IN_DELETE_SELF | IN_MOVE_SELF;
const lostMask = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_Q_OVERFLOW;
const goneMask = IN_DELETE | IN_MOVED_FROM;

/** What may have changed. The listener only takes note; it does not throw. */
export interface LeaseDirectoryListener {
  /** The file `config` was written, came or went. */
  config(): void;
  /** The lease file of this name was written or came, or, when `gone`, was removed. */
  lease(name: string, gone: boolean): void;
  /** A directory came, went or was moved, or the kernel lost events: watch anew with `arm` and look at everything. */
  everything(): void;
}

/**
 * Watches `DIR/config` and `DIR/subnets` by inotify, wherever that path leads at the moment and also while parts of it do
 * not exist. A watch stays with its directory when that is moved, so each directory above is watched for its own removal
 * and renaming; the deepest one that exists also for the appearance of the next. Symbolic links and mounts are followed as
 * they are when `arm` is called; one that changes later is not noticed.
 */
export class LeaseDirectoryWatch implements Disposable {
  readonly #watcher = new DirectoryWatcher();
  readonly #listener: LeaseDirectoryListener;
  /** From `/` down to `DIR` and `DIR/subnets`. */
  readonly #levels: readonly string[];
  #watches = new DisposableStack();

  /** `directory` is absolute. Nothing is watched before `arm`. */
  constructor(directory: string, listener: LeaseDirectoryListener) {
    this.#listener = listener;
    const names = `${directory}/subnets`.split("/").filter((name) => name !== "" && name !== ".");
    this.#levels = names.reduce((paths, name) => [...paths, `${paths.at(-1) ?? ""}/${name}`], [""]);
  }

  /**
   * Watches the path as it is now. Whatever is read after this is followed by an event when it changes. Throws a
   * SyscallError, for example when the limit of watches is reached.
   */
  arm(): void {
    this.#disarm();
    const depth = this.#armLoudly();
    // Above the deepest directory and its parent only the directories themselves are of interest: this keeps what goes
    // on in /tmp or /var/lib from waking the daemon.
    const last = Math.min(depth - 1, this.#levels.length - 2);
    for (let level = 0; level < last; level++) this.#add(level, selfMask);
  }

  [Symbol.dispose](): void {
    this.#disarm();
    this.#watcher[Symbol.dispose]();
  }

  /** Watches all that exists for everything, from the top, so that the next level cannot appear unseen. */
  #armLoudly(): number {
    let deepest = 0;
    for (const level of this.#levels.keys()) {
      const contentMask = level < this.#levels.length - 2 ? 0 : IN_CLOSE_WRITE;
      const added = this.#add(level, entryMask | selfMask | contentMask);
      if (added === "absent") break;
      if (added === "watched") deepest = level;
    }
    return deepest;
  }

  #add(level: number, mask: number): "watched" | "absent" | "forbidden" {
    const path = this.#levels[level] ?? "";
    try {
      this.#watches.use(this.#watcher.add(path === "" ? "/" : path, mask, (event) => this.#hear(level, event)));
      return "watched";
    } catch (error) {
      if (failedWith(error, errno.ENOENT, errno.ENOTDIR)) return "absent";
      // A directory that may only be passed through can still lead to one that may be read.
      if (failedWith(error, errno.EACCES) && level < this.#levels.length - 2) return "forbidden";
      throw error;
    }
  }

  #hear(level: number, event: WatchEvent): void {
    if ((event.mask & lostMask) !== 0) {
      this.#lose();
    } else if (level === this.#levels.length - 1) {
      this.#listener.lease(event.name, (event.mask & goneMask) !== 0);
    } else if (this.#levels[level + 1] === `${this.#levels[level] ?? ""}/${event.name}`) {
      this.#lose();
    } else if (level === this.#levels.length - 2 && event.name === "config") {
      this.#listener.config();
    }
  }

  /** Events that still come from a directory that was moved away say nothing about the path. */
  #lose(): void {
    this.#disarm();
    this.#listener.everything();
  }

  #disarm(): void {
    const watches = this.#watches;
    this.#watches = new DisposableStack();
    watches.dispose();
  }
}

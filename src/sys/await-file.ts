import { allocate, ByteWriter } from "../base/bytes.ts";
import { checked, errno, SyscallError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { findFile, pathArgument } from "./file.ts";
import { lastErrno, libc, rareLibc } from "./libc.ts";

/** include/uapi/linux/inotify.h */
const IN_MOVED_TO = 0x80;
const IN_CREATE = 0x100;
const IN_DELETE_SELF = 0x400;
const IN_MOVE_SELF = 0x800;
const IN_ONLYDIR = 0x1000000;
const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;
const POLLIN = 1;

/**
 * Waits until something has the name, no longer than that; false when nothing has it then. The directories above need not
 * be there yet. The kernel tells (inotify), and nothing else of this process goes on meanwhile. Throws a SyscallError.
 */
export function awaitFile(path: string, milliseconds: number): boolean {
  const deadline = performance.now() + milliseconds;
  using events = new Fd(checked(rareLibc().inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "open inotify"));
  const buffer = allocate(4096);
  while (true) {
    watchTowards(path, events);
    // After the watch: what came before it caused no event.
    if (exists(path)) return true;
    const remaining = Math.ceil(deadline - performance.now());
    if (remaining <= 0) return false;
    rareLibc().poll(new ByteWriter(8).i32(events.number).u16(POLLIN).u16(0).finish(), 1, remaining);
    // What happened does not matter, only that something did.
    libc.read(events.number, buffer, buffer.length);
  }
}

/** Watches the deepest directory above the path that there is. */
function watchTowards(path: string, events: Fd): void {
  const mask = IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  let missing = path;
  while (true) {
    const directory = parentOf(missing);
    if (rareLibc().inotify_add_watch(events.number, pathArgument(directory), mask) >= 0) {
      // Made before the watch began: then its own directory has to be watched.
      if (missing === path || !exists(missing)) return;
      missing = path;
      continue;
    }
    const number = lastErrno();
    if (number !== errno.ENOENT || directory === missing) throw new SyscallError("watch directory", number, directory);
    missing = directory;
  }
}

function parentOf(path: string): string {
  const slash = path.replace(/\/+$/, "").lastIndexOf("/");
  if (slash < 0) return ".";
  return slash === 0 ? "/" : path.slice(0, slash);
}

function exists(path: string): boolean {
  using file = findFile(path);
  return file !== undefined;
}

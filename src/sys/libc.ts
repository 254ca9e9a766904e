/**
 * The door to the operating system: the C library's functions that tartan calls, and nothing else. The only file that
 * imports bun:ffi. Opening the library fails where memory must not be writable and executable at once (PR_SET_MDWE,
 * systemd's MemoryDenyWriteExecute=, SELinux execmem) or where the address space is limited to 2 GiB; main.ts reports it.
 */
import { dlopen, type Library, ptr, read } from "bun:ffi";

const symbols = {
  __errno_location: { args: [], returns: "ptr" },
  // Results of type ssize_t are taken as int: Linux reads and writes at most 0x7ffff000 bytes at once, and each i64 would
  // be a bigint, an object of its own.
  // Declared in the form of the calls made through it, fd, buffer and size: fstat, getdents64.
  syscall: { args: ["i64", "i64", "ptr", "u64"], returns: "int" },
  // Files
  open: { args: ["cstring", "int", "int"], returns: "int" },
  close: { args: ["int"], returns: "int" },
  read: { args: ["int", "ptr", "usize"], returns: "int" },
  write: { args: ["int", "ptr", "usize"], returns: "int" },
  rename: { args: ["cstring", "cstring"], returns: "int" },
  link: { args: ["cstring", "cstring"], returns: "int" },
  unlink: { args: ["cstring"], returns: "int" },
  mkdir: { args: ["cstring", "u32"], returns: "int" },
  chmod: { args: ["cstring", "u32"], returns: "int" },
  fchmod: { args: ["int", "u32"], returns: "int" },
  utimensat: { args: ["int", "cstring", "ptr", "int"], returns: "int" },
  flock: { args: ["int", "int"], returns: "int" },
  fstatfs: { args: ["int", "ptr"], returns: "int" },
  // Sockets
  socket: { args: ["int", "int", "int"], returns: "int" },
  bind: { args: ["int", "ptr", "u32"], returns: "int" },
  setsockopt: { args: ["int", "int", "int", "ptr", "u32"], returns: "int" },
  sendto: { args: ["int", "ptr", "usize", "int", "ptr", "u32"], returns: "int" },
  recvfrom: { args: ["int", "ptr", "usize", "int", "ptr", "ptr"], returns: "int" },
  // Namespaces
  setns: { args: ["int", "int"], returns: "int" },
} as const;

/** What no ADD or DEL calls that goes well: each function takes time to be looked up, at every start of a plugin. */
const rareSymbols = {
  strerror: { args: ["int"], returns: "cstring" },
  access: { args: ["cstring", "int"], returns: "int" },
  fsync: { args: ["int"], returns: "int" },
  fcntl: { args: ["int", "int", "i64"], returns: "int" },
  inotify_init1: { args: ["int"], returns: "int" },
  inotify_add_watch: { args: ["int", "cstring", "u32"], returns: "int" },
  inotify_rm_watch: { args: ["int", "int"], returns: "int" },
  getsockopt: { args: ["int", "int", "int", "ptr", "ptr"], returns: "int" },
  getsockname: { args: ["int", "ptr", "ptr"], returns: "int" },
  poll: { args: ["ptr", "u64", "int"], returns: "int" },
  ioctl: { args: ["int", "u64", "ptr"], returns: "int" },
  madvise: { args: ["u64", "u64", "int"], returns: "int" },
  execve: { args: ["cstring", "ptr", "ptr"], returns: "int" },
  unshare: { args: ["int"], returns: "int" },
  mount: { args: ["cstring", "cstring", "cstring", "u64", "ptr"], returns: "int" },
  umount2: { args: ["cstring", "int"], returns: "int" },
} as const;

type Symbols = typeof symbols | typeof rareSymbols;
type Functions<T extends Symbols> = Library<T>["symbols"];

/** The functions of the C library under their own names. */
export const libc: Functions<typeof symbols> = openLibc(symbols);

let rare: Functions<typeof rareSymbols> | undefined;

/** Those that plugins hardly ever call, looked up when the first of them is. */
export function rareLibc(): Functions<typeof rareSymbols> {
  return (rare ??= openLibc(rareSymbols));
}

/** The error number of the last call that failed. Read it in the statement that follows the call. */
export function lastErrno(): number {
  const location = libc.__errno_location();
  if (location === null) throw new Error("Cannot read errno: the C library has no place for it");
  return read.i32(location, 0);
}

/** The address of bytes whose memory does not move (allocate), for structures that hold addresses. */
export function addressOf(bytes: Uint8Array): number {
  return ptr(bytes);
}

/** Where the library cannot be opened, its functions throw why, each when it is called: what needs none still works. */
function openLibc<T extends Symbols>(wanted: T): Functions<T> {
  try {
    // Both glibc and musl answer to this file name.
    return dlopen("libc.so.6", wanted).symbols;
  } catch (error) {
    const refusing: object = new Proxy(
      {},
      {
        get(): never {
          throw error;
        },
      },
    );
    if (hasFunctions<T>(refusing)) return refusing;
    throw error;
  }
}

/** A proxy has whatever it is asked for, so that only its type has to be told. */
function hasFunctions<T extends Symbols>(value: object): value is Functions<T> {
  return typeof value === "object";
}

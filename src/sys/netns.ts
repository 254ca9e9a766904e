import { allocate, ByteReader } from "../base/bytes.ts";
import { checked } from "./errno.ts";
import type { Fd } from "./fd.ts";
import { findFile, openFile } from "./file.ts";
import { libc } from "./libc.ts";

const CLONE_NEWNET = 0x40000000;
/** File system magic of a namespace file (include/uapi/linux/magic.h). */
const NSFS_MAGIC = 0x6e736673;
/** File system magic of /proc, where old kernels keep namespace files. */
const PROC_SUPER_MAGIC = 0x9fa0;

/** Number of fstat (the kernel's unistd.h); glibc has a function of that name only since 2.33, and 2.17 is our floor. */
const SYS_fstat = process.arch === "arm64" ? 80 : 5;

const ownNamespace = "/proc/thread-self/ns/net";

/** A path that exists but is no network namespace; `magic` is the file system's, as statfs(2) tells it. */
export class NotANamespaceError extends Error {
  override readonly name = "NotANamespaceError";

  constructor(path: string, magic: number) {
    // The text is the CNI reference library's (pkg/ns), which runtimes' operators search for.
    super(`unknown FS magic on "${path}": ${magic.toString(16)}`);
  }
}

/** An open network namespace. */
export interface Netns extends Disposable {
  readonly path: string;
  /** For a message that moves or makes a device in the namespace (IFLA_NET_NS_FD). */
  readonly fd: Fd;
  /** The namespace's device and inode, the same for every path to it. */
  readonly identity: string;
}

/**
 * Opens a network namespace by its path; undefined when nothing has that name. Throws a NotANamespaceError when the path
 * is something else, as it is after the runtime has unmounted the namespace and left the file.
 */
export function findNetns(path: string): Netns | undefined {
  const fd = findFile(path);
  if (fd === undefined) return undefined;
  try {
    const magic = fileSystemMagic(fd, path);
    if (magic !== NSFS_MAGIC && magic !== PROC_SUPER_MAGIC) throw new NotANamespaceError(path, magic);
    return {
      path,
      fd,
      identity: identityOf(fd, path),
      [Symbol.dispose](): void {
        fd[Symbol.dispose]();
      },
    };
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
}

/** Like findNetns, but a path that is no namespace any more, or none at all, is as good as one that is not there. */
export function findLivingNetns(path: string): Netns | undefined {
  try {
    return path === "" ? undefined : findNetns(path);
  } catch (error) {
    if (error instanceof NotANamespaceError) return undefined;
    throw error;
  }
}

/** Like findNetns, but throws an Error, in the reference library's words as well, when nothing has that name. */
export function openNetns(path: string): Netns {
  const netns = findNetns(path);
  if (netns === undefined) throw new Error(`failed to Statfs "${path}": no such file or directory`);
  return netns;
}

/** The identity of the namespace the calling thread is in, to compare with `Netns.identity`. */
export function ownNetnsIdentity(): string {
  using own = openFile(ownNamespace);
  return identityOf(own, ownNamespace);
}

/**
 * Runs synchronous work inside a network namespace and comes back, also when it throws. Only the calling thread moves:
 * work that waits for another thread would be done outside, so that a promise as a result is a type error. A socket
 * opened inside stays inside and is used from outside; /proc/sys/net is the namespace's own.
 */
export function inNetns<T>(namespace: Netns, work: () => T extends PromiseLike<unknown> ? never : T): T {
  using home = openFile(ownNamespace);
  checked(libc.setns(namespace.fd.number, CLONE_NEWNET), "enter network namespace", namespace.path);
  try {
    return work();
  } finally {
    checked(libc.setns(home.number, CLONE_NEWNET), "return to network namespace", ownNamespace);
  }
}

/**
 * st_dev and st_ino, the first two words of struct stat on x86-64 and arm64 alike. A link of /proc to the descriptor would
 * not do: for a namespace that is mounted somewhere it shows the mount point.
 */
function identityOf(fd: Fd, path: string): string {
  const buffer = allocate(256);
  checked(libc.syscall(SYS_fstat, fd.number, buffer, 0), "look at", path);
  return buffer.toHex().slice(0, 32);
}

/** f_type, the first word of struct statfs; its other members are not looked at. */
function fileSystemMagic(fd: Fd, path: string): number {
  const buffer = allocate(256);
  checked(libc.fstatfs(fd.number, buffer), "look at the file system of", path);
  return new ByteReader(buffer).u32();
}

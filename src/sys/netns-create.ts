/**
 * Network namespaces with a name, which last until they are removed. They are made as `ip netns add` makes them, so that
 * `ip netns exec NAME` finds them: /run/netns is a shared mount, and a file in it has the namespace mounted on it.
 */
import { checked, errno, failedWith } from "./errno.ts";
import { listDirectory } from "./directory.ts";
import { Fd } from "./fd.ts";
import { ensureDirectory, openFile, pathArgument, removeFile } from "./file.ts";
import { libc, rareLibc } from "./libc.ts";
import { lockFile } from "./lock.ts";
import { findNetns, type Netns } from "./netns.ts";

const directory = "/run/netns";
const threadNamespace = "/proc/thread-self/ns/net";
const CLONE_NEWNET = 0x40000000;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_CLOEXEC = 0o2000000;
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_SHARED = 0x100000;
const MNT_DETACH = 2;

/** Where a namespace of this name is. */
export function netnsPath(name: string): string {
  return `${directory}/${name}`;
}

/** Makes a network namespace; the calling thread stays in its own. Throws a SyscallError. Like: ip netns add NAME */
export function createNetns(name: string): Netns {
  const path = netnsPath(name);
  ensureSharedDirectory();
  // Refused when the name is taken: another's namespace is never mounted over.
  new Fd(checked(libc.open(pathArgument(path), O_CREAT | O_EXCL | O_CLOEXEC, 0), "make", path))[Symbol.dispose]();
  try {
    mountNewNamespace(path);
  } catch (error) {
    removeFile(path);
    throw error;
  }
  const netns = findNetns(path);
  if (netns === undefined) throw new Error(`Cannot open network namespace "${path}": somebody has removed it`);
  return netns;
}

/** Removes the name; the namespace ends with the last process and descriptor in it. Like: ip netns delete NAME */
export function removeNetns(name: string): boolean {
  const path = netnsPath(name);
  try {
    checked(rareLibc().umount2(pathArgument(path), MNT_DETACH), "unmount", path);
  } catch (error) {
    // EINVAL: nothing is mounted on it, so that only the file is left to remove.
    if (!failedWith(error, errno.EINVAL, errno.ENOENT)) throw error;
  }
  return removeFile(path);
}

/** The names of all. Like: ip netns list */
export function listNetns(): readonly string[] {
  return listDirectory(directory) ?? [];
}

/** Shared, so that a name made in one mount namespace shows in the others, and its removal too (ip-netns(8)). */
function ensureSharedDirectory(): void {
  ensureDirectory(directory, 0o755);
  using _lock = lockFile(directory, 0o755);
  if (rareLibc().mount("", directory, "none", MS_SHARED | MS_REC, null) === 0) return;
  // It is no mount of its own yet.
  checked(rareLibc().mount(directory, directory, "none", MS_BIND | MS_REC, null), "mount", directory);
  checked(rareLibc().mount("", directory, "none", MS_SHARED | MS_REC, null), "share mount", directory);
}

/** Only the calling thread moves, for two calls; no other work can come between them, as all is synchronous. */
function mountNewNamespace(path: string): void {
  using home = openFile(threadNamespace);
  checked(rareLibc().unshare(CLONE_NEWNET), "make network namespace", path);
  try {
    checked(
      rareLibc().mount(threadNamespace, pathArgument(path), "none", MS_BIND, null),
      "mount network namespace on",
      path,
    );
  } finally {
    checked(libc.setns(home.number, CLONE_NEWNET), "return to network namespace", threadNamespace);
  }
}

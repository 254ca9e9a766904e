import { errno, SyscallError } from "./errno.ts";
import { pathArgument } from "./file.ts";
import { lastErrno, rareLibc } from "./libc.ts";

/** include/uapi/linux/fs.h: to write and, of a directory, to find what is in it. */
const W_OK = 2;
const X_OK = 1;

/**
 * Throws a SyscallError when files cannot be made in a directory: it, or the nearest one above it that is there, is on a
 * read-only file system, may not be written to, or is none. Changes nothing.
 */
export function checkWritable(directory: string): void {
  let path = pathArgument(directory);
  while (true) {
    // With the dot, only a directory will do.
    if (rareLibc().access(`${path}/.`, W_OK | X_OK) === 0) return;
    const number = lastErrno();
    if (number !== errno.ENOENT || path === "") throw new SyscallError("write to", number, directory);
    path = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
  }
}

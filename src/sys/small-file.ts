import { checked, errno, SyscallError } from "./errno.ts";
import { pathArgument } from "./file.ts";
import { lastErrno, libc } from "./libc.ts";

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/**
 * Reads the start of a file into a buffer that is used again and again, and returns how much there was; undefined when
 * nothing has that name. For a directory of many small files, where whatever else findText does costs more than the
 * reading; a FIFO does not make it wait. Throws a SyscallError.
 */
export function findStart(path: string, buffer: Uint8Array<ArrayBuffer>): number | undefined {
  const fd = libc.open(pathArgument(path), O_CLOEXEC | O_NONBLOCK, 0);
  if (fd < 0) {
    const number = lastErrno();
    if (number === errno.ENOENT) return undefined;
    throw new SyscallError("open", number, path);
  }
  try {
    return checked(libc.read(fd, buffer, buffer.length), "read", path);
  } finally {
    libc.close(fd);
  }
}

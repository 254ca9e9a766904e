import { checked, errno, SyscallError } from "./errno.ts";
import type { Fd } from "./fd.ts";
import { ensureFile } from "./file.ts";
import { lastErrno, libc } from "./libc.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const retryMilliseconds = 1;

/** Another process held a lock for as long as the caller would wait. */
export class LockTimeoutError extends Error {
  override readonly name = "LockTimeoutError";

  constructor(path: string, milliseconds: number) {
    super(`Cannot lock ${path}: another process has held it for ${milliseconds / 1000} s`);
  }
}

/**
 * Takes the exclusive flock(2) of a file, made with `mode` when it is missing, and waits for it as long as another
 * process holds it. Disposing of the result, or the end of the process, gives it back.
 */
export function lockFile(path: string, mode: number): Disposable {
  const file = ensureFile(path, mode);
  try {
    checked(libc.flock(file.number, LOCK_EX), "lock", path);
    return file;
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** Like lockFile, but waits no longer than that: flock(2) knows no time limit. Throws a LockTimeoutError then. */
export function lockFileWithin(path: string, mode: number, milliseconds: number): Disposable {
  const file = ensureFile(path, mode);
  try {
    if (tryLock(file, path)) return file;
    const deadline = performance.now() + milliseconds;
    while (performance.now() < deadline) {
      Bun.sleepSync(retryMilliseconds);
      if (tryLock(file, path)) return file;
    }
    throw new LockTimeoutError(path, milliseconds);
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** False when another process holds it. EWOULDBLOCK is EAGAIN on Linux. */
function tryLock(file: Fd, path: string): boolean {
  if (libc.flock(file.number, LOCK_EX | LOCK_NB) === 0) return true;
  const number = lastErrno();
  if (number === errno.EAGAIN) return false;
  throw new SyscallError("lock", number, path);
}

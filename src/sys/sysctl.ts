import { errno, failedWith } from "./errno.ts";
import { findText, overwriteText } from "./file.ts";

/**
 * The value of a kernel setting of the calling thread's network namespace, without the line's end; undefined when the
 * kernel has no such setting. `key` is its path below /proc/sys: `net/ipv4/ip_forward`. Like: sysctl -n
 */
export function findSysctl(key: string): string | undefined {
  return findText(`/proc/sys/${key}`)?.trimEnd();
}

/** Writes a kernel setting. Throws a SyscallError, also where /proc/sys is read-only. Like: sysctl -w */
export function writeSysctl(key: string, value: string): void {
  overwriteText(`/proc/sys/${key}`, value);
}

/** Writes a kernel setting where there is one that can be written: a kernel without IPv6 has none, and /proc/sys may be read-only. */
export function tryToWriteSysctl(key: string, value: string): void {
  try {
    writeSysctl(key, value);
  } catch (error) {
    if (!failedWith(error, errno.ENOENT, errno.EROFS, errno.EACCES)) throw error;
  }
}

/** Writes a kernel setting unless it has the value: works where /proc/sys is read-only and already right. */
export function ensureSysctl(key: string, value: string): void {
  if (findSysctl(key) !== value) writeSysctl(key, value);
}

import { listDirectory } from "./directory.ts";
import { errno, failedWith } from "./errno.ts";
import { findText } from "./file.ts";
import { findNetns } from "./netns.ts";

/** A process as /proc shows it. */
export interface ProcessInfo {
  readonly pid: number;
  /** Its arguments, the program's name first. */
  readonly argv: readonly string[];
}

/** The processes that have a command line: no kernel threads, and none that has ended and is not reaped yet. */
export function listProcesses(): readonly ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const name of listDirectory("/proc") ?? []) {
    if (!/^\d+$/.test(name)) continue;
    const text = orGone(() => findText(`/proc/${name}/cmdline`)) ?? "";
    if (text !== "") found.push({ pid: Number(name), argv: text.replace(/\0$/, "").split("\0") });
  }
  return found;
}

/** The identity of the network namespace that a process is in (Netns.identity); undefined when it has ended. */
export function findNetnsIdentityOf(pid: number): string | undefined {
  return orGone(() => {
    using netns = findNetns(`/proc/${pid}/ns/net`);
    return netns?.identity;
  });
}

/** A process may end at any time between two looks at it; then /proc answers ENOENT or ESRCH (proc(5)). */
function orGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (failedWith(error, errno.ENOENT, errno.ESRCH, errno.EACCES)) return undefined;
    throw error;
  }
}

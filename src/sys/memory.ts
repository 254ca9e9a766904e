import { readText } from "./file.ts";
import { rareLibc } from "./libc.ts";

const MADV_DONTNEED = 4;

/**
 * Gives back the pages of this program's own code: what runs on takes those that it needs again, from the page cache,
 * and those that only the start needed stay out. Only mappings of the executable file that cannot be written count: what
 * was changed in memory would be lost.
 */
export function releaseCode(): void {
  for (const line of readText("/proc/self/maps").split("\n")) {
    // address-address permissions offset device inode path (proc_pid_maps(5))
    const [, start, end, path] = /^([0-9a-f]+)-([0-9a-f]+) r-xp [0-9a-f]+ \S+ [1-9]\d* +(.*)$/.exec(line) ?? [];
    if (start === undefined || end === undefined || path !== process.execPath) continue;
    const [from, to] = [Number.parseInt(start, 16), Number.parseInt(end, 16)];
    // What is refused stays as it is: nothing depends on it.
    rareLibc().madvise(from, to - from, MADV_DONTNEED);
  }
}

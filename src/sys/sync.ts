import { checked } from "./errno.ts";
import { openFile } from "./file.ts";
import { rareLibc } from "./libc.ts";

/** Waits until what was written to a file, and its name if it is new, outlasts a loss of power. Throws a SyscallError. */
export function syncFile(path: string): void {
  using file = openFile(path);
  checked(rareLibc().fsync(file.number), "sync", path);
}

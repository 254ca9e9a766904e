import { allocate, ByteReader, ByteWriter } from "../base/bytes.ts";
import { checked } from "./errno.ts";
import { openFile, pathArgument } from "./file.ts";
import { libc } from "./libc.ts";

const AT_FDCWD = -100;
const UTIME_OMIT = 0x3ffffffe;

/** Number of fstat (the kernel's unistd.h); glibc has a function of that name only since 2.33, and 2.17 is our floor. */
const SYS_fstat = process.arch === "arm64" ? 80 : 5;

/** Place of st_mtim in struct stat, the same on x86-64 and arm64. */
const modificationOffset = 88;

/** When a file's content was changed, in whole seconds since 1970, less than 0 before. Throws a SyscallError. */
export function modificationTime(path: string): number {
  using file = openFile(path);
  const buffer = allocate(256);
  checked(libc.syscall(SYS_fstat, file.number, buffer, 0), "look at", path);
  const reader = new ByteReader(buffer);
  reader.skip(modificationOffset);
  const low = reader.u32();
  return reader.i32() * 2 ** 32 + low;
}

/**
 * Sets when a file's content was changed, in whole seconds since 1970 within 32 bits; what the file system cannot keep,
 * the kernel brings to the nearest that it can. Throws a SyscallError. Like: touch -m
 *
 *     struct timespec { time_t tv_sec; long tv_nsec; } times[2];
 */
export function setModificationTime(path: string, seconds: number): void {
  const access = new ByteWriter(32).zeros(8).u32(UTIME_OMIT).zeros(4);
  const times = access
    .i32(seconds)
    .i32(seconds < 0 ? -1 : 0)
    .zeros(8);
  checked(libc.utimensat(AT_FDCWD, pathArgument(path), times.finish(), 0), "set the time of", path);
}

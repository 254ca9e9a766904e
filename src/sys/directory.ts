import { allocate, readU16, readU32 } from "../base/bytes.ts";
import { decodeText } from "../base/text.ts";
import { checked } from "./errno.ts";
import { findFile } from "./file.ts";
import { libc } from "./libc.ts";

/** Number of getdents64 (the kernel's unistd.h); glibc has a function for it only since 2.30, and 2.17 is our floor. */
const SYS_getdents64 = process.arch === "arm64" ? 61 : 217;

/** What a directory holds under one name. */
export interface DirectoryEntry {
  readonly name: string;
  /** The number of the file in its file system: names with the same one are links to one file. */
  readonly inode: bigint;
}

/**
 * The names in a directory without `.` and `..`, in the file system's order; undefined when there is no such directory.
 * Throws a SyscallError.
 */
export function listDirectory(path: string): readonly string[] | undefined {
  const names: string[] = [];
  return readEntries(path, (name) => names.push(name)) ? names : undefined;
}

/** Like listDirectory, with the files' numbers. Like: ls -i */
export function listEntries(path: string): readonly DirectoryEntry[] | undefined {
  const entries: DirectoryEntry[] = [];
  const found = readEntries(path, (name, buffer, start) => {
    const inode = (BigInt(readU32(buffer, start + 4)) << 32n) | BigInt(readU32(buffer, start));
    entries.push({ name, inode });
  });
  return found ? entries : undefined;
}

/**
 * Calls `visit` for each entry with its name, and where its structure starts in which buffer; false when there is no such
 * directory.
 *
 *     struct linux_dirent64 { u64 d_ino; s64 d_off; unsigned short d_reclen; unsigned char d_type; char d_name[]; };
 */
function readEntries(path: string, visit: (name: string, buffer: Uint8Array, start: number) => void): boolean {
  using directory = findFile(path);
  if (directory === undefined) return false;
  const buffer = allocate(32_768);
  while (true) {
    const length = getdents(directory.number, buffer, path);
    if (length === 0) return true;
    for (let start = 0; start < length; start += readU16(buffer, start + 16)) {
      const name = decodeText(buffer.subarray(start + 19, buffer.indexOf(0, start + 19)));
      if (name !== "." && name !== "..") visit(name, buffer, start);
    }
  }
}

function getdents(fd: number, buffer: Uint8Array<ArrayBuffer>, path: string): number {
  return checked(libc.syscall(SYS_getdents64, fd, buffer, buffer.length), "list", path);
}

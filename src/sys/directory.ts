import { allocate, bytesEqual, readU16, readU32 } from "../base/bytes.ts";
import { decodeText, encodeText } from "../base/text.ts";
import { checked } from "./errno.ts";
import { findFile } from "./file.ts";
import { libc } from "./libc.ts";

/** Number of getdents64 (the kernel's unistd.h); glibc has a function for it only since 2.30, and 2.17 is our floor. */
const SYS_getdents64 = process.arch === "arm64" ? 61 : 217;

/** Place of d_name in struct linux_dirent64. */
const nameOffset = 19;

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
 * The other names that a directory has for the file with this name; none when it is not there. Only they become text, so
 * that thousands of entries cost a plugin little. Throws a SyscallError. Like: find PATH -samefile PATH/NAME
 */
export function listOtherNames(path: string, name: string): readonly string[] {
  const chunks = readChunks(path) ?? [];
  const wanted = encodeText(name);
  for (const chunk of chunks) {
    const start = findEntry(chunk, wanted);
    if (start === undefined) continue;
    const inode = chunk.subarray(start, start + 8);
    return chunks.flatMap((other) => namesOf(other, inode)).filter((found) => found !== name);
  }
  return [];
}

/**
 * Calls `visit` for each entry with its name, and where its structure starts in which buffer; false when there is no such
 * directory.
 */
function readEntries(path: string, visit: (name: string, buffer: Uint8Array, start: number) => void): boolean {
  const chunks = readChunks(path);
  if (chunks === undefined) return false;
  for (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += readU16(chunk, start + 16)) {
      const name = nameAt(chunk, start);
      if (name !== "." && name !== "..") visit(name, chunk, start);
    }
  }
  return true;
}

/**
 * A directory's entries as the kernel gives them out, many in each buffer; undefined when there is no such directory.
 *
 *     struct linux_dirent64 { u64 d_ino; s64 d_off; unsigned short d_reclen; unsigned char d_type; char d_name[]; };
 */
function readChunks(path: string): readonly Uint8Array[] | undefined {
  using directory = findFile(path);
  if (directory === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  while (true) {
    const buffer = allocate(32_768);
    const length = getdents(directory.number, buffer, path);
    if (length === 0) return chunks;
    chunks.push(buffer.subarray(0, length));
  }
}

function nameAt(chunk: Uint8Array, start: number): string {
  return decodeText(chunk.subarray(start + nameOffset, chunk.indexOf(0, start + nameOffset)));
}

/** Where the entry with this name starts. Names differ at their end rather than at their start, most of them. */
function findEntry(chunk: Uint8Array, name: Uint8Array): number | undefined {
  const last = nameOffset + name.length - 1;
  const lastByte = name[name.length - 1];
  for (let start = 0; start < chunk.length; start += readU16(chunk, start + 16)) {
    if (chunk[start + last] !== lastByte || chunk[start + last + 1] !== 0) continue;
    if (bytesEqual(chunk.subarray(start + nameOffset, start + last + 1), name)) return start;
  }
  return undefined;
}

function namesOf(chunk: Uint8Array, inode: Uint8Array): string[] {
  const names: string[] = [];
  const [first, second] = inode;
  for (let start = 0; start < chunk.length; start += readU16(chunk, start + 16)) {
    if (chunk[start] !== first || chunk[start + 1] !== second) continue;
    if (bytesEqual(chunk.subarray(start, start + 8), inode)) names.push(nameAt(chunk, start));
  }
  return names;
}

function getdents(fd: number, buffer: Uint8Array<ArrayBuffer>, path: string): number {
  return checked(libc.syscall(SYS_getdents64, fd, buffer, buffer.length), "list", path);
}

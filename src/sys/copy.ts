/** Copies and comparisons of large files; for programs that a person runs, since node:fs costs a plugin time. */
import { chmodSync, closeSync, constants, copyFileSync, fstatSync, openSync, readSync, renameSync } from "node:fs";
import { syncFile } from "./sync.ts";

const blockSize = 1 << 20;

/**
 * Copies a file to a name that nothing has yet, and waits until the content is on the disk. Where the file system can,
 * both share their blocks and nothing is copied (FICLONE). Like: cp --reflink=auto
 */
export function copyFile(source: string, target: string, mode: number): void {
  copyFileSync(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  chmodSync(target, mode);
  syncFile(target);
}

/** Gives a file another name, at which nothing or something else may stand: it is replaced at once. Like: mv -T */
export function renameFile(path: string, name: string): void {
  renameSync(path, name);
}

/** True when two files hold the same. Like: cmp */
export function holdSame(path: string, other: string): boolean {
  return withFile(path, (first) => withFile(other, (second) => compare(first, second)));
}

/** True when the last `length` bytes of a file hold the text. */
export function endHolds(path: string, text: string, length: number): boolean {
  return withFile(path, (file) => {
    const size = Math.min(length, fstatSync(file).size);
    const buffer = Buffer.alloc(size);
    const count = fill(file, buffer, fstatSync(file).size - size);
    return buffer.subarray(0, count).includes(text);
  });
}

function compare(first: number, second: number): boolean {
  if (fstatSync(first).size !== fstatSync(second).size) return false;
  const left = Buffer.alloc(blockSize);
  const right = Buffer.alloc(blockSize);
  for (let offset = 0; ; offset += blockSize) {
    const count = fill(first, left, offset);
    if (fill(second, right, offset) !== count || !left.subarray(0, count).equals(right.subarray(0, count)))
      return false;
    if (count < blockSize) return true;
  }
}

/** Reads until the buffer is full or the file ends; the number of bytes. */
function fill(file: number, buffer: Buffer, offset: number): number {
  let length = 0;
  while (length < buffer.length) {
    const count = readSync(file, buffer, length, buffer.length - length, offset + length);
    if (count === 0) break;
    length += count;
  }
  return length;
}

function withFile<T>(path: string, work: (file: number) => T): T {
  const file = openSync(path, "r");
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}

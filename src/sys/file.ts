/** Files by system calls: on the plugin path `node:fs` would cost more than the work itself. All calls are synchronous. */
import { allocate } from "../base/bytes.ts";
import { decodeText, encodeText } from "../base/text.ts";
import { checked, errno, SyscallError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { lastErrno, libc } from "./libc.ts";

const O_WRONLY = 0o1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NONBLOCK = 0o4000;
/** Unlike the other flags it differs between architectures (arch/arm64/include/uapi/asm/fcntl.h). */
const O_DIRECTORY = process.arch === "arm64" ? 0o40000 : 0o200000;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;

/** No file or stream of flannel's or CNI's is near it; a configuration may name /dev/zero. One byte more fills a buffer. */
const largestContent = 16 * 1024 * 1024 - 1;

/** Opens a file for reading; one that turns out to be a FIFO does not make it wait. Throws a SyscallError. */
export function openFile(path: string): Fd {
  return new Fd(checked(libc.open(pathArgument(path), O_CLOEXEC | O_NONBLOCK, 0), "open", path));
}

/** Like openFile, but undefined when nothing has that name. */
export function findFile(path: string): Fd | undefined {
  const number = libc.open(pathArgument(path), O_CLOEXEC | O_NONBLOCK, 0);
  return number < 0 ? absent("open", path) : new Fd(number);
}

/** The whole content of a file, or undefined when nothing has that name. Throws a SyscallError for any other failure. */
function findContent(path: string, limit: number): Uint8Array | undefined {
  using file = findFile(path);
  return file === undefined ? undefined : readAll(file, path, limit);
}

/** Like findContent, as UTF-8 text. */
export function findText(path: string, limit: number = largestContent): string | undefined {
  const content = findContent(path, limit);
  return content === undefined ? undefined : decodeText(content);
}

/** The whole content of a file as UTF-8 text. Throws a SyscallError. */
export function readText(path: string): string {
  using file = openFile(path);
  return decodeText(readAll(file, path));
}

/** Reads a descriptor to its end, or throws a SyscallError when that is behind `limit` bytes; `what` names it there. */
export function readAll(file: Fd, what: string, limit: number = largestContent): Uint8Array {
  let buffer = allocate(4096);
  let length = 0;
  while (true) {
    if (length === buffer.length) {
      const larger = allocate(buffer.length * 4);
      larger.set(buffer);
      buffer = larger;
    }
    const count = libc.read(file.number, buffer.subarray(length), buffer.length - length);
    if (count < 0) {
      const number = lastErrno();
      if (number === errno.EINTR) continue;
      throw new SyscallError("read", number, what);
    }
    if (count === 0) return buffer.subarray(0, length);
    length += count;
    if (length > limit) throw new SyscallError("read", errno.EFBIG, what);
  }
}

/** Writes all bytes to a descriptor; `what` names it in an error. */
export function writeAll(file: Fd, bytes: Uint8Array, what: string): void {
  let offset = 0;
  while (offset < bytes.length) {
    const count = libc.write(file.number, bytes.subarray(offset), bytes.length - offset);
    if (count < 0) {
      const number = lastErrno();
      if (number === errno.EINTR) continue;
      throw new SyscallError("write", number, what);
    }
    offset += count;
  }
}

/**
 * Writes text over what a file holds, without making the file; what the file has beyond the text stays. For the kernel's
 * own files below /proc and /sys, and where a new file for each change would cost too much.
 */
export function overwriteText(path: string, text: string): void {
  using file = new Fd(checked(libc.open(pathArgument(path), O_WRONLY | O_CLOEXEC, 0), "open", path));
  writeAll(file, encodeText(text), path);
}

/**
 * Puts a complete file in place of whatever had the name: a temporary file beside it, then a rename. Its mode is what
 * is asked for, whatever the umask. Throws a SyscallError and leaves no temporary file, unless the process is killed: who
 * has to find that one later names it, and must be alone in writing the file.
 */
export function replaceFile(path: string, text: string, mode: number, temporary: string = temporaryName(path)): void {
  try {
    writeNew(temporary, text, { mode, path });
    checked(libc.rename(pathArgument(temporary), pathArgument(path)), "put in place", path);
  } catch (error) {
    libc.unlink(temporary);
    throw error;
  }
}

/**
 * Puts a complete file in place if nothing has the name yet: a temporary file beside it, then a hard link, which fails
 * when the name exists. Returns false then. Throws a SyscallError for any other failure and leaves no temporary file.
 */
export function claimFile(path: string, text: string, mode: number): boolean {
  const temporary = temporaryName(path);
  try {
    writeNew(temporary, text, { mode, path });
    return linkFile(temporary, path);
  } finally {
    libc.unlink(temporary);
  }
}

/** Gives a file a further name; false when something has it. Throws a SyscallError for any other failure. Like: ln */
export function linkFile(path: string, name: string): boolean {
  if (libc.link(pathArgument(path), pathArgument(name)) === 0) return true;
  const number = lastErrno();
  if (number === errno.EEXIST) return false;
  throw new SyscallError("put in place", number, name);
}

/** Removes a file; false when there was none. Like: rm -f. */
export function removeFile(path: string): boolean {
  if (libc.unlink(pathArgument(path)) === 0) return true;
  absent("remove", path);
  return false;
}

/** Makes a directory and those above it that are missing, each with the mode given. Like: mkdir -p. */
export function ensureDirectory(path: string, mode: number): void {
  const number = makeDirectory(path, mode);
  if (number === 0) return;
  const parent = path.slice(0, path.replace(/\/+$/, "").lastIndexOf("/"));
  if (number !== errno.ENOENT || parent === "") throw new SyscallError("make directory", number, path);
  ensureDirectory(parent, mode);
  const again = makeDirectory(path, mode);
  if (again !== 0) throw new SyscallError("make directory", again, path);
}

/** The error number, 0 when the directory is there. Throws a SyscallError when something else has the name. */
function makeDirectory(path: string, mode: number): number {
  if (libc.mkdir(pathArgument(path), mode) === 0) {
    checked(libc.chmod(path, mode), "set the mode of", path);
    return 0;
  }
  const number = lastErrno();
  if (number !== errno.EEXIST) return number;
  // Only a directory will do, also one behind a symbolic link.
  new Fd(checked(libc.open(path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0), "use as a directory", path))[Symbol.dispose]();
  return 0;
}

/**
 * Makes sure that a file is there, to be locked or watched, and opens it. Its mode is set only when it is made here.
 */
export function ensureFile(path: string, mode: number): Fd {
  const found = findFile(path);
  if (found !== undefined) return found;
  const file = new Fd(checked(libc.open(pathArgument(path), O_CREAT | O_CLOEXEC, mode), "make", path));
  try {
    checked(libc.fchmod(file.number, mode), "set the mode of", path);
    return file;
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/**
 * Makes a file that must not be there yet. Whoever looks before it is complete sees less of it; a process that is killed
 * meanwhile leaves it so. Throws a SyscallError.
 */
export function createFile(path: string, text: string, mode: number): void {
  using file = openNew(path, mode, "make", path);
  writeAll(file, encodeText(text), path);
}

/** Writes the temporary file for the file at `path`, which errors name. */
function writeNew(
  temporary: string,
  text: string,
  { mode, path }: { readonly mode: number; readonly path: string },
): void {
  using file = openNew(temporary, mode, "make a temporary file for", path);
  writeAll(file, encodeText(text), path);
}

function openNew(name: string, mode: number, call: string, path: string): Fd {
  const file = new Fd(
    checked(libc.open(pathArgument(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode), call, path),
  );
  try {
    checked(libc.fchmod(file.number, mode), "set the mode of", path);
    return file;
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/**
 * A name in the same directory that readers of flannel's and CNI's directories pass over. The process number alone would
 * not tell two containers apart that share the directory: in each the daemon is number 1.
 */
function temporaryName(path: string): string {
  const slash = pathArgument(path).lastIndexOf("/") + 1;
  return `${path.slice(0, slash)}.${path.slice(slash)}.tartan-${process.pid}-${Math.random().toString(36).slice(2)}`;
}

/** A path as the C library takes it. Throws an Error for a NUL character, where C would silently end it. */
export function pathArgument(path: string): string {
  if (path.includes("\0")) throw new Error(`Cannot use path ${JSON.stringify(path)}: it holds a NUL character`);
  return path;
}

/** Undefined after a call that failed because nothing has the name. Throws a SyscallError after any other failure. */
function absent(call: string, path: string): undefined {
  const number = lastErrno();
  if (number !== errno.ENOENT && number !== errno.ENOTDIR) throw new SyscallError(call, number, path);
}

/** Plain writing to the standard output and error of a program that a person runs. */
import { isatty } from "node:tty";
import { ByteWriter } from "../base/bytes.ts";
import { errno, SyscallError } from "./errno.ts";
import { lastErrno, libc, rareLibc } from "./libc.ts";

const POLLOUT = 4;
const encoder = new TextEncoder();

/** A standard stream by its descriptor. */
export const standardStream = { output: 1, error: 2 } as const;

type StandardStream = (typeof standardStream)[keyof typeof standardStream];

/** Writes all of a text before it returns. Throws a SyscallError, as when the reader of a pipe has gone. */
export function writeStream(stream: StandardStream, text: string): void {
  const bytes = encoder.encode(text);
  let offset = 0;
  while (offset < bytes.length) {
    const count = libc.write(stream, bytes.subarray(offset), bytes.length - offset);
    if (count >= 0) {
      offset += count;
      continue;
    }
    const number = lastErrno();
    // Whoever shares the descriptor may have made it non-blocking, as Node.js does with terminals.
    if (number === errno.EAGAIN) waitUntilWritable(stream);
    else if (number !== errno.EINTR) throw new SyscallError("write", number, "to a standard stream");
  }
}

/** Writes an error's text; where nobody reads any more, it is lost, so that what has to be done after it is done. */
export function writeError(text: string): void {
  try {
    writeStream(standardStream.error, text);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
  }
}

/** True when the standard output is a terminal. */
export function outputIsTerminal(): boolean {
  return isatty(standardStream.output);
}

/** struct pollfd { int fd; short events; short revents; } */
function waitUntilWritable(stream: StandardStream): void {
  rareLibc().poll(new ByteWriter(8).i32(stream).u16(POLLOUT).u16(0).finish(), 1, -1);
}

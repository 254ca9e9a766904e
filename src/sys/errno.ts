import { lastErrno, rareLibc } from "./libc.ts";

/** Error numbers of the kernel (include/uapi/asm-generic/errno*.h) that tartan meets or tells apart. */
export const errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

/** The symbolic name of an error number, or `errno N` for one that is not in the table. */
function errnoName(number: number): string {
  for (const [name, known] of Object.entries(errno)) if (known === number) return name;
  return `errno ${number}`;
}

/** A call into the kernel that failed: which one, on what, and the kernel's reason. */
export class SyscallError extends Error {
  override readonly name: string = "SyscallError";
  readonly call: string;
  readonly errno: number;

  constructor(call: string, number: number, subject: string) {
    super(`Cannot ${call}${subject === "" ? "" : ` ${subject}`}: ${errnoText(number)} (${errnoName(number)})`);
    this.call = call;
    this.errno = number;
  }
}

/** The C library's text for an error number, with a small first letter as it stands inside a message. */
function errnoText(number: number): string {
  const text = String(rareLibc().strerror(number));
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** True when `error` is a failed system call with one of these error numbers. */
export function failedWith(error: unknown, ...numbers: readonly number[]): boolean {
  return error instanceof SyscallError && numbers.includes(error.errno);
}

/**
 * Passes on the result of a C function that answers -1 on failure. Throws a SyscallError then; errno is read before
 * anything else can run.
 */
export function checked(result: number, call: string, subject = ""): number {
  if (result >= 0) return result;
  throw new SyscallError(call, lastErrno(), subject);
}

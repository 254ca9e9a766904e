import { allocate, ByteWriter, readU32 } from "../base/bytes.ts";
import { checked, errno, SyscallError } from "./errno.ts";
import { Fd } from "./fd.ts";
import { addressOf, lastErrno, libc, rareLibc } from "./libc.ts";

/** Socket numbers of the kernel (include/linux/socket.h, include/uapi/asm-generic/socket.h, include/linux/net.h). */
export const socketConstants = {
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  AF_PACKET: 17,
  SOCK_RAW: 3,
  SOCK_DGRAM: 2,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_RCVBUF: 8,
  SO_SNDBUF: 7,
  SO_SNDBUFFORCE: 32,
  SO_RCVBUFFORCE: 33,
  SO_RCVTIMEO: 20,
  SO_ATTACH_FILTER: 26,
  MSG_DONTWAIT: 0x40,
  MSG_TRUNC: 0x20,
} as const;

/** Opens a socket that is closed on exec. Throws a SyscallError. */
export function openSocket(family: number, type: number, protocol: number): Fd {
  return new Fd(
    checked(libc.socket(family, type | socketConstants.SOCK_CLOEXEC, protocol), "open socket", `of family ${family}`),
  );
}

/** Gives a socket its own address, in the kernel's form (`struct sockaddr_…`). */
export function bindSocket(socket: Fd, address: Uint8Array): void {
  checked(libc.bind(socket.number, address, address.length), "bind socket");
}

/** Sets an option whose value is a C `int`. */
export function setOption(socket: Fd, level: number, option: number, value: number): void {
  setOptionBytes(socket, level, option, new ByteWriter(4).i32(value).finish());
}

/** Sets an option whose value is a structure. */
export function setOptionBytes(socket: Fd, level: number, option: number, value: Uint8Array): void {
  checked(
    libc.setsockopt(socket.number, level, option, value, value.length),
    "set socket option",
    `${level}/${option}`,
  );
}

/** Reads an option into `value`, which may hold a question to it, and returns the option's length. Throws a SyscallError. */
export function getOptionBytes(socket: Fd, level: number, option: number, value: Uint8Array): number {
  const length = new ByteWriter(4).i32(value.length).finish();
  checked(
    rareLibc().getsockopt(socket.number, level, option, value, length),
    "read socket option",
    `${level}/${option}`,
  );
  return readU32(length, 0);
}

/** The socket's own address, of a family whose addresses are of at most 16 bytes. Throws a SyscallError. */
export function ownAddress(socket: Fd): Uint8Array {
  const address = allocate(16);
  const length = new ByteWriter(4).i32(address.length).finish();
  checked(rareLibc().getsockname(socket.number, address, length), "read the address of a socket");
  return address.subarray(0, readU32(length, 0));
}

/** Sends one datagram, to `address` where the socket has no fixed peer. Throws a SyscallError. */
export function sendDatagram(socket: Fd, bytes: Uint8Array, address?: Uint8Array): void {
  while (true) {
    const result = libc.sendto(socket.number, bytes, bytes.length, 0, address ?? null, address?.length ?? 0);
    if (result >= 0) return;
    const number = lastErrno();
    if (number !== errno.EINTR) throw new SyscallError("send on socket", number, "");
  }
}

/**
 * Receives one datagram into `buffer` and returns its length, which is larger than the buffer when it did not fit;
 * undefined when none is there and the socket does not wait, or waited in vain. Throws a SyscallError.
 */
export function receiveDatagram(socket: Fd, buffer: Uint8Array, flags = 0): number | undefined {
  while (true) {
    const all = flags | socketConstants.MSG_TRUNC;
    const result = libc.recvfrom(socket.number, buffer, buffer.length, all, null, null);
    if (result >= 0) return result;
    const number = lastErrno();
    if (number === errno.EAGAIN) return undefined;
    if (number !== errno.EINTR) throw new SyscallError("receive on socket", number, "");
  }
}

/** Has the kernel leave out what a filter does not let pass: an array of struct sock_filter. */
export function attachFilter(socket: Fd, filter: Uint8Array): void {
  const stepLength = 8;
  const steps = allocate(filter.length);
  steps.set(filter);
  const address = addressOf(steps);
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
  const program = new ByteWriter(16).u16(filter.length / stepLength).zeros(6);
  program.u32(address % 2 ** 32).u32(Math.floor(address / 2 ** 32));
  setOptionBytes(socket, socketConstants.SOL_SOCKET, socketConstants.SO_ATTACH_FILTER, program.finish());
}

/** Makes a receiving call on the socket give up after `milliseconds`. */
export function setReceiveTimeout(socket: Fd, milliseconds: number): void {
  const seconds = Math.floor(milliseconds / 1000);
  // struct timeval { long tv_sec; long tv_usec; }, 64 bits each
  const timeval = new ByteWriter(16)
    .u32(seconds)
    .u32(0)
    .u32((milliseconds % 1000) * 1000)
    .u32(0);
  setOptionBytes(socket, socketConstants.SOL_SOCKET, socketConstants.SO_RCVTIMEO, timeval.finish());
}

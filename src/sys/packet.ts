/** Packets as a device carries them, copied with the kernel's time stamps (packet(7)). Like: tcpdump -i DEVICE */
import { allocate, ByteReader, ByteWriter } from "../base/bytes.ts";
import { checked, errno, failedWith } from "./errno.ts";
import type { Fd } from "./fd.ts";
import { rareLibc } from "./libc.ts";
import { bindSocket, openSocket, receiveDatagram, setOptionBytes, socketConstants } from "./socket.ts";

const ETH_P_ALL = 3;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_MR_PROMISC = 1;
/** Time of the packet received last, as a timespec of two 64-bit words (asm-generic/sockios.h, the "old" form). */
const SIOCGSTAMPNS = 0x8907;

/** An Ethernet frame and the moment at which the kernel handled it. */
export interface CapturedFrame {
  /** Since 1970. */
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly bytes: Uint8Array;
}

/**
 * Copies every frame that a device of this network namespace sends or receives, from now until it is disposed of. The
 * device is made promiscuous for that long, which makes a bridge show what passes between its ports.
 */
export class PacketCapture implements Disposable {
  readonly #fd: Fd;
  readonly #buffer = allocate(65_536);

  constructor(interfaceIndex: number) {
    // Protocol 0: it receives nothing before it is bound to the device.
    this.#fd = openSocket(socketConstants.AF_PACKET, socketConstants.SOCK_RAW, 0);
    try {
      this.#stamp();
      setOptionBytes(this.#fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuousMembership(interfaceIndex));
      bindSocket(this.#fd, linkAddress(interfaceIndex));
    } catch (error) {
      this.#fd[Symbol.dispose]();
      throw error;
    }
  }

  /** The frames since the last call, in order. */
  take(): readonly CapturedFrame[] {
    const frames: CapturedFrame[] = [];
    while (true) {
      const length = receiveDatagram(this.#fd, this.#buffer, socketConstants.MSG_DONTWAIT);
      if (length === undefined) return frames;
      const stamp = this.#stamp();
      if (stamp === undefined) throw new Error("Cannot read the time of a captured packet: the kernel has none");
      frames.push({ ...stamp, bytes: this.#buffer.slice(0, Math.min(length, this.#buffer.length)) });
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }

  /** The time of the frame received last; the first call, which finds none, makes the kernel stamp from then on. */
  #stamp(): Pick<CapturedFrame, "seconds" | "nanoseconds"> | undefined {
    const timespec = allocate(16);
    try {
      checked(rareLibc().ioctl(this.#fd.number, SIOCGSTAMPNS, timespec), "read the time of a captured packet");
    } catch (error) {
      if (failedWith(error, errno.ENOENT)) return undefined;
      throw error;
    }
    const reader = new ByteReader(timespec);
    const seconds = reader.u32() + reader.u32() * 2 ** 32;
    return { seconds, nanoseconds: reader.u32() };
  }
}

/** struct packet_mreq { int mr_ifindex; unsigned short mr_type, mr_alen; unsigned char mr_address[8]; } */
function promiscuousMembership(interfaceIndex: number): Uint8Array {
  return new ByteWriter(16).i32(interfaceIndex).u16(PACKET_MR_PROMISC).u16(0).zeros(8).finish();
}

/**
 *     struct sockaddr_ll { unsigned short sll_family; __be16 sll_protocol; int sll_ifindex; unsigned short sll_hatype;
 *                          unsigned char sll_pkttype, sll_halen, sll_addr[8]; };
 */
function linkAddress(interfaceIndex: number): Uint8Array {
  return new ByteWriter(20).u16(socketConstants.AF_PACKET).be16(ETH_P_ALL).i32(interfaceIndex).zeros(12).finish();
}

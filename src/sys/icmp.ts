/**
 * ICMP echo: the kernel of a ping program.
 *
 *     struct icmphdr { __u8 type, code; __sum16 checksum; __be16 id, sequence; };
 */
import { bytesEqual, ByteReader, ByteWriter, allocate } from "../base/bytes.ts";
import type { Fd } from "./fd.ts";
import { openSocket, receiveDatagram, sendDatagram, setReceiveTimeout, socketConstants } from "./socket.ts";

const IPPROTO_ICMP = 1;
const ICMP_ECHOREPLY = 0;
const ICMP_ECHO = 8;
const headerLength = 8;
/** Bytes behind the ICMP header, as ping sends by default: 64 of ICMP, 84 of IP. */
export const echoPayloadLength = 56;

/** An answer to an echo request, as it came in. */
export interface EchoReply {
  /** IPv4 address of who answered, 4 bytes. */
  readonly source: Uint8Array;
  /** From the IP header it came with. */
  readonly ttl: number;
  readonly sequence: number;
  /** Bytes of the ICMP message. */
  readonly length: number;
  readonly milliseconds: number;
}

/** The parts of an IPv4 datagram that holds an echo reply. */
interface DecodedReply extends Omit<EchoReply, "milliseconds"> {
  readonly id: number;
  readonly payload: Uint8Array;
}

/** Sends echo requests from the network namespace in which it was opened. Like: ping */
export class EchoSocket implements Disposable {
  readonly #fd: Fd;
  readonly #id: number;
  readonly #payload: Uint8Array;
  readonly #buffer = allocate(65_536);

  /** `id` is what tells its replies from those of other pings, 16 bits. */
  constructor(id: number) {
    this.#fd = openSocket(socketConstants.AF_INET, socketConstants.SOCK_RAW, IPPROTO_ICMP);
    this.#id = id;
    this.#payload = allocate(echoPayloadLength).map((_, index) => index);
  }

  /**
   * Sends one request and waits for its reply; undefined when none came in time. Whatever else arrives, or comes back
   * changed, does not count. Throws a SyscallError when it cannot be sent.
   */
  echo(destination: Uint8Array, sequence: number, timeoutMilliseconds: number): EchoReply | undefined {
    const start = Bun.nanoseconds();
    sendDatagram(this.#fd, encodeEchoRequest(this.#id, sequence, this.#payload), socketAddress(destination));
    while (true) {
      const left = timeoutMilliseconds - (Bun.nanoseconds() - start) / 1e6;
      if (left <= 0) return undefined;
      // A timeout of zero would mean to wait for ever.
      setReceiveTimeout(this.#fd, Math.ceil(left));
      const length = receiveDatagram(this.#fd, this.#buffer);
      const milliseconds = (Bun.nanoseconds() - start) / 1e6;
      if (length === undefined) return undefined;
      const reply = findEchoReply(this.#buffer.subarray(0, length));
      if (reply === undefined || reply.id !== this.#id || reply.sequence !== sequence) continue;
      if (!bytesEqual(reply.source, destination) || !bytesEqual(reply.payload, this.#payload)) continue;
      return { source: reply.source, ttl: reply.ttl, sequence, length: reply.length, milliseconds };
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/** An echo request with its checksum. */
export function encodeEchoRequest(id: number, sequence: number, payload: Uint8Array): Uint8Array {
  const writer = new ByteWriter(headerLength + payload.length);
  writer.u8(ICMP_ECHO).u8(0).be16(0).be16(id).be16(sequence).bytes(payload);
  const message = writer.finish();
  const sum = internetChecksum(message);
  message[2] = sum >> 8;
  message[3] = sum & 0xff;
  return message;
}

/** Decodes an IPv4 datagram from a raw socket; undefined when it is no echo reply, or its checksum is wrong. */
export function findEchoReply(datagram: Uint8Array): DecodedReply | undefined {
  const header = new ByteReader(datagram);
  if (header.remaining < 20) return undefined;
  const ipHeaderLength = (header.u8() & 0xf) * 4;
  header.skip(7);
  const ttl = header.u8();
  header.skip(3);
  const source = header.bytes(4).slice();
  if (ipHeaderLength < 20 || datagram.length < ipHeaderLength + headerLength) return undefined;
  const message = datagram.subarray(ipHeaderLength);
  const reader = new ByteReader(message);
  if (reader.u8() !== ICMP_ECHOREPLY || reader.u8() !== 0 || internetChecksum(message) !== 0) return undefined;
  reader.skip(2);
  const id = reader.be16();
  const sequence = reader.be16();
  return { source, ttl, id, sequence, payload: reader.bytes(reader.remaining).slice(), length: message.length };
}

/** The checksum of RFC 1071; over a message that carries its own it gives 0. */
export function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) sum += ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** struct sockaddr_in { sa_family_t sin_family; __be16 sin_port; __u8 sin_addr[4]; __u8 pad[8]; } */
function socketAddress(address: Uint8Array): Uint8Array {
  return new ByteWriter(16).u16(socketConstants.AF_INET).be16(0).bytes(address).zeros(8).finish();
}

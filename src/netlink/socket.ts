import { allocate, ByteWriter, readU32 } from "../base/bytes.ts";
import { errno, failedWith } from "../sys/errno.ts";
import type { Fd } from "../sys/fd.ts";
import {
  bindSocket,
  ownAddress,
  openSocket,
  receiveDatagram,
  sendDatagram,
  setOption,
  setReceiveTimeout,
  socketConstants,
} from "../sys/socket.ts";
import {
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_ROUTE,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  SOL_NETLINK,
} from "./constants.ts";
import {
  decodeReplies,
  encodeRequest,
  findDumpRefusal,
  findRefusal,
  isAcknowledgement,
  type LeaveOut,
  refusalNumber,
  NetlinkError,
  type Reply,
  type Request,
} from "./message.ts";

/** The kernel answers before `send` returns; only a lost acknowledgement can make us wait. */
const answerTimeoutMilliseconds = 5000;
/** So many refusals, a socket buffer of the default size still holds: an overflow would lose the acknowledgement. */
const batchLength = 100;
/** The kernel gives out dumps in pieces of at most so many bytes, and no answer to a single request is as long. */
const bufferLength = 32_768;
/** A socket sends so many bytes at once, whatever net.core.wmem_default is on usual machines. */
const usualSendBuffer = 100_000;
/** A dump is interrupted when the table changes while it is read; so often it is tried before that is an error. */
const dumpAttempts = 30;

/** A request of a batch that the kernel refused. */
export interface Refusal {
  readonly index: number;
  readonly error: NetlinkError;
}

/** A socket for requests to one of the kernel's netlink families, in the network namespace in which it was opened. */
export class NetlinkSocket implements Disposable {
  readonly #fd: Fd;
  readonly #buffer = allocate(bufferLength);
  #sequence = 0;
  #port: number | undefined;

  constructor(protocol: number = NETLINK_ROUTE) {
    this.#fd = openSocket(socketConstants.AF_NETLINK, socketConstants.SOCK_RAW, protocol);
    try {
      // All there since Linux 4.20.
      setOption(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
      setOption(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
      setOption(this.#fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
      setReceiveTimeout(this.#fd, answerTimeoutMilliseconds);
      bindSocket(this.#fd, netlinkAddress());
    } catch (error) {
      this.#fd[Symbol.dispose]();
      throw error;
    }
  }

  /** The port that the kernel gave it, which messages about its requests name (nlmsg_pid). */
  get port(): number {
    return (this.#port ??= readU32(ownAddress(this.#fd), 4));
  }

  /** Sends one request and returns the messages that answer it. Throws a NetlinkError when the kernel refuses. */
  request(request: Request): readonly Reply[] {
    const replies: Reply[] = [];
    const [refusal] = this.#exchange([request], replies);
    if (refusal !== undefined) throw refusal.error;
    return replies;
  }

  /**
   * Sends requests in order, many with one system call; a refused one does not stop those after it. Returns the
   * refusals, none when all was done.
   */
  batch(requests: readonly Request[]): readonly Refusal[] {
    const refusals: Refusal[] = [];
    for (let start = 0; start < requests.length; start += batchLength) {
      for (const { index, error } of this.#exchange(requests.slice(start, start + batchLength), [])) {
        refusals.push({ index: start + index, error });
      }
    }
    return refusals;
  }

  /** Like batch, but throws the first refusal. */
  batchOrThrow(requests: readonly Request[]): void {
    const [refusal] = this.batch(requests);
    if (refusal !== undefined) throw refusal.error;
  }

  /**
   * Asks several things at once, each with one message for an answer: the answers in the requests' order, undefined where
   * the kernel has no such thing (ENOENT). Throws any other refusal.
   */
  ask(requests: readonly Request[]): readonly (Reply | undefined)[] {
    const answers: (Reply | undefined)[] = Array.from(requests, () => undefined);
    for (let start = 0; start < requests.length; start += batchLength) {
      this.#askSome(requests.slice(start, start + batchLength), (index, reply) => {
        answers[start + index] = reply;
      });
    }
    return answers;
  }

  /**
   * Sends requests that happen as a whole or not at all, between two that the family frames them with. The indexes of
   * the refusals count the frame in; a refusal of its first message stands for the whole and is the only one.
   */
  transaction(framed: readonly Request[]): readonly Refusal[] {
    const text = framed[0]?.text ?? "";
    const first = this.#send(framed, framed.length - 2);
    const refusals: Refusal[] = [];
    let lost = false;
    while (true) {
      const replies = this.#receiveOrLose(text, lost);
      if (replies === "lost") lost = true;
      // One refusal is enough to know that nothing was done.
      else if (replies === undefined && refusals.length > 0) return refusals;
      else if (replies === undefined) throw new NetlinkError(text, errno.ENOBUFS, "the kernel's answer was lost");
      else if (collectRefusals(replies, { framed, first, refusals })) return refusals;
    }
  }

  /** Reads a whole table but for what is left out, again when it changed meanwhile. Throws a NetlinkError. */
  dump(request: Request, leaveOut?: LeaveOut): readonly Reply[] {
    for (let attempt = 0; attempt < dumpAttempts; attempt++) {
      const replies = this.#dumpOnce(request, leaveOut);
      if (replies !== undefined) return replies;
    }
    throw new NetlinkError(request.text, errno.EINTR, `the table changed during each of ${dumpAttempts} attempts`);
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }

  /** Only the last request asks for an acknowledgement: the refusals of those before it arrive without being asked for. */
  #exchange(requests: readonly Request[], answers: Reply[]): Refusal[] {
    const first = this.#send(requests, requests.length - 1);
    const last = this.#sequence;
    const refusals: Refusal[] = [];
    while (true) {
      for (const reply of this.#receive(requests[requests.length - 1]?.text ?? "")) {
        const index = reply.sequence - first;
        const request = requests[index];
        if (request === undefined) continue;
        if (isAcknowledgement(reply)) {
          const error = findRefusal(reply, request.text);
          if (error !== undefined) refusals.push({ index, error });
          if (reply.sequence === last) return refusals;
        } else {
          answers.push(reply);
        }
      }
    }
  }

  /** What is not there is no error, and none is made of it: its text would cost more than the question. */
  #askSome(requests: readonly Request[], take: (index: number, reply: Reply) => void): void {
    const first = this.#send(requests, requests.length - 1);
    let refusal: NetlinkError | undefined;
    while (true) {
      for (const reply of this.#receive(requests[0]?.text ?? "")) {
        const index = reply.sequence - first;
        const request = requests[index];
        if (request === undefined) continue;
        if (!isAcknowledgement(reply)) {
          take(index, reply);
          continue;
        }
        if (refusalNumber(reply) !== errno.ENOENT) refusal ??= findRefusal(reply, request.text);
        if (index < requests.length - 1) continue;
        if (refusal !== undefined) throw refusal;
        return;
      }
    }
  }

  /** Sends requests in one datagram and returns the sequence number of the first; one is to be acknowledged. */
  #send(requests: readonly Request[], acknowledged: number): number {
    const first = this.#sequence + 1;
    const writer = new ByteWriter(requests.length * 160);
    for (const [index, request] of requests.entries()) {
      encodeRequest(writer, request, NLM_F_REQUEST | (index === acknowledged ? NLM_F_ACK : 0), ++this.#sequence);
    }
    const bytes = writer.finish();
    if (bytes.length > usualSendBuffer) {
      setOption(this.#fd, socketConstants.SOL_SOCKET, socketConstants.SO_SNDBUFFORCE, bytes.length);
    }
    sendDatagram(this.#fd, bytes);
    return first;
  }

  /** The whole table, or undefined when it changed while it was read. */
  #dumpOnce(request: Request, leaveOut: LeaveOut | undefined): readonly Reply[] | undefined {
    const sequence = ++this.#sequence;
    const writer = new ByteWriter(request.body.length + 32);
    encodeRequest(writer, request, NLM_F_REQUEST | NLM_F_DUMP, sequence);
    sendDatagram(this.#fd, writer.finish());
    const replies: Reply[] = [];
    let interrupted = false;
    while (true) {
      for (const reply of this.#receive(request.text, 0, leaveOut)) {
        if (reply.sequence !== sequence) continue;
        if ((reply.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (isAcknowledgement(reply))
          throw findRefusal(reply, request.text) ?? new NetlinkError(request.text, errno.EIO);
        if (reply.type === NLMSG_DONE) {
          const refusal = findDumpRefusal(reply, request.text);
          if (refusal !== undefined) throw refusal;
          return interrupted ? undefined : replies;
        }
        replies.push(reply);
      }
    }
  }

  /** Like receive, but says "lost" when more came than the buffer held; after that, undefined when nothing is left. */
  #receiveOrLose(text: string, lostBefore: boolean): readonly Reply[] | "lost" | undefined {
    try {
      return this.#receive(text, lostBefore ? socketConstants.MSG_DONTWAIT : 0);
    } catch (error) {
      if (failedWith(error, errno.ENOBUFS)) return "lost";
      if (lostBefore && failedWith(error, errno.ETIMEDOUT)) return undefined;
      throw error;
    }
  }

  /** One datagram's messages. They stay valid, since each datagram is copied out of the buffer, or what is not left out. */
  #receive(text: string, flags = 0, leaveOut?: LeaveOut): readonly Reply[] {
    const length = receiveDatagram(this.#fd, this.#buffer, flags);
    if (length === undefined) throw new NetlinkError(text, errno.ETIMEDOUT, "the kernel did not answer");
    if (length > this.#buffer.length) {
      throw new NetlinkError(text, errno.ENOBUFS, `an answer of ${length} bytes is larger than the buffer`);
    }
    if (leaveOut !== undefined) return decodeReplies(this.#buffer.subarray(0, length), leaveOut);
    return decodeReplies(this.#buffer.slice(0, length));
  }
}

interface OpenTransaction {
  readonly framed: readonly Request[];
  readonly first: number;
  readonly refusals: Refusal[];
}

/** Adds the refusals among the replies; true when the answer is complete with them. */
function collectRefusals(replies: readonly Reply[], { framed, first, refusals }: OpenTransaction): boolean {
  for (const reply of replies) {
    const index = reply.sequence - first;
    const request = framed[index];
    if (request === undefined || !isAcknowledgement(reply)) continue;
    const error = findRefusal(reply, request.text);
    if (error !== undefined) refusals.push({ index, error });
    if (index === framed.length - 2 || index === 0) return true;
  }
  return false;
}

/** Like dump, but nothing where the device it asks about is gone, or the table was never made. */
export function dumpOrNone(socket: NetlinkSocket, request: Request, leaveOut?: LeaveOut): readonly Reply[] {
  try {
    return socket.dump(request, leaveOut);
  } catch (error) {
    if (failedWith(error, errno.ENODEV, errno.ENOENT)) return [];
    throw error;
  }
}

/** struct sockaddr_nl { sa_family_t nl_family; unsigned short nl_pad; __u32 nl_pid; __u32 nl_groups; } */
export function netlinkAddress(): Uint8Array {
  return new ByteWriter(12).u16(socketConstants.AF_NETLINK).u16(0).u32(0).u32(0).finish();
}

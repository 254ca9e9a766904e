/**
 * Messages: requests as data, and replies as the kernel sent them.
 *
 *     struct nlmsghdr { __u32 nlmsg_len; __u16 nlmsg_type; __u16 nlmsg_flags; __u32 nlmsg_seq; __u32 nlmsg_pid; };
 */
import { alignTo, ByteReader, ByteWriter, readU16, readU32, ShortReadError } from "../base/bytes.ts";
import { SyscallError } from "../sys/errno.ts";
import { Attributes } from "./attribute.ts";
import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP_INTR,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
  NLMSGERR_ATTR_MSG,
} from "./constants.ts";

const messageHeaderLength = 16;
const alignment = 4;

/** A message to the kernel that is not sent yet. */
export interface Request {
  readonly type: number;
  /** Flags besides NLM_F_REQUEST and NLM_F_ACK, which the socket sets. */
  readonly flags: number;
  /** The family's own header and the attributes. */
  readonly body: Uint8Array;
  /** What it does, for errors and logs: `add route 10.244.2.0/24 dev flannel.1`. */
  readonly text: string;
}

/** A message from the kernel. */
export interface Reply {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** A request that the kernel refused: which one, its error number, and its own words where it gave any. */
export class NetlinkError extends SyscallError {
  override readonly name = "NetlinkError";
  readonly kernelMessage: string | undefined;

  constructor(request: string, number: number, kernelMessage?: string) {
    super(request, number, "");
    this.kernelMessage = kernelMessage;
    if (kernelMessage !== undefined) this.message += `: ${kernelMessage}`;
  }
}

/** Appends a request with its header. */
export function encodeRequest(writer: ByteWriter, request: Request, flags: number, sequence: number): void {
  const length = messageHeaderLength + request.body.length;
  writer
    .u32(length)
    .u16(request.type)
    .u16(request.flags | flags)
    .u32(sequence)
    .u32(0);
  writer.bytes(request.body).align(alignment);
}

/** Tells of a message's body, in a datagram as it came, whether nobody wants it. */
export type LeaveOut = (datagram: Uint8Array, start: number, end: number) => boolean;

/**
 * Splits a datagram into its messages; with `leaveOut` into those that it does not leave out, and the bodies are copies
 * then. Throws a ShortReadError for one that is cut off.
 */
export function decodeReplies(datagram: Uint8Array, leaveOut?: LeaveOut): Reply[] {
  const replies: Reply[] = [];
  for (let offset = 0; datagram.length - offset >= messageHeaderLength;) {
    const length = readU32(datagram, offset);
    if (length < messageHeaderLength || offset + length > datagram.length) {
      throw new ShortReadError(
        `Cannot read a message of ${length} bytes at offset ${offset}: the datagram has ${datagram.length}`,
      );
    }
    const type = readU16(datagram, offset + 4);
    const flags = readU16(datagram, offset + 6);
    const sequence = readU32(datagram, offset + 8);
    const start = offset + messageHeaderLength;
    const end = offset + length;
    offset += alignTo(length, alignment);
    // A message that says that the dump is not whole is never left out.
    const whole = type >= NLMSG_MIN_TYPE && (flags & NLM_F_DUMP_INTR) === 0;
    if (leaveOut !== undefined && whole && leaveOut(datagram, start, end)) continue;
    const body = leaveOut === undefined ? datagram.subarray(start, end) : datagram.slice(start, end);
    replies.push({ type, flags, sequence, body });
  }
  return replies;
}

/** True for the message that ends the answer to a request: an acknowledgement, or the refusal. */
export function isAcknowledgement(reply: Reply): boolean {
  return reply.type === NLMSG_ERROR;
}

/** The error number of an acknowledgement, 0 for a request that was done. */
export function refusalNumber({ body }: Reply): number {
  return -(readU32(body, 0) | 0);
}

/**
 * What an acknowledgement says of the request `text`: undefined when it was done, else the kernel's refusal.
 *
 *     struct nlmsgerr { int error; struct nlmsghdr msg; };   then the request's body unless NLM_F_CAPPED,
 *     then attributes with NLM_F_ACK_TLVS
 */
export function findRefusal(reply: Reply, text: string): NetlinkError | undefined {
  const reader = new ByteReader(reply.body);
  const number = -reader.i32();
  if (number === 0) return undefined;
  if ((reply.flags & NLM_F_ACK_TLVS) === 0) return new NetlinkError(text, number);
  const requestLength = reader.u32();
  reader.skip(messageHeaderLength - 4);
  if ((reply.flags & NLM_F_CAPPED) === 0) {
    reader.skip(requestLength - messageHeaderLength);
    reader.align(alignment);
  }
  const attributes = new Attributes(reader.bytes(reader.remaining));
  return new NetlinkError(text, number, attributes.findString(NLMSGERR_ATTR_MSG));
}

/**
 * What the end of a dump says: undefined when all was told, else why the kernel did not. NLMSG_DONE carries
 * `int error;`, then attributes with NLM_F_ACK_TLVS.
 */
export function findDumpRefusal(done: Reply, text: string): NetlinkError | undefined {
  const reader = new ByteReader(done.body);
  const number = reader.remaining < 4 ? 0 : -reader.i32();
  if (number === 0) return undefined;
  if ((done.flags & NLM_F_ACK_TLVS) === 0) return new NetlinkError(text, number);
  return new NetlinkError(text, number, new Attributes(reader.bytes(reader.remaining)).findString(NLMSGERR_ATTR_MSG));
}

/**
 * Builds a request's body: `fill` writes the family's header and the attributes. Where thousands are built of which none
 * will be refused, the text is given as what makes it.
 */
export function buildRequest(
  type: number,
  flags: number,
  text: string | (() => string),
  fill: (writer: ByteWriter) => void,
): Request {
  // One buffer for all, each copied out at its length: thousands wait at once, and a buffer each would weigh tenfold.
  const writer = spareWriter ?? new ByteWriter(256);
  spareWriter = undefined;
  fill(writer);
  const body = writer.take();
  spareWriter = writer;
  return typeof text === "string" ? { type, flags, body, text } : new LazyTextRequest(type, flags, body, text);
}

let spareWriter: ByteWriter | undefined;

/** A request whose text is made when somebody asks for it. */
class LazyTextRequest implements Request {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
  readonly #describe: () => string;

  constructor(type: number, flags: number, body: Uint8Array, describe: () => string) {
    this.type = type;
    this.flags = flags;
    this.body = body;
    this.#describe = describe;
  }

  get text(): string {
    return this.#describe();
  }
}

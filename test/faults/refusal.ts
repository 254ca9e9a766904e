/** Netlink requests that the kernel refuses one by one, also those in the middle of a batch: their type is made one that it does not know. */
import { ByteReader } from "../../src/base/bytes.ts";
import { NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END } from "../../src/netlink/nftables-constants.ts";
import { hexToBytes } from "../helpers/bytes.ts";

/** A type above all of rtnetlink's: the kernel answers such a request with EOPNOTSUPP. */
const unknownType = "f000";

/** One request of a run. */
export interface RequestPoint {
  /** Which call of sendto it is in, and which request of that. */
  readonly call: number;
  readonly index: number;
  /** The start of what is sent, up to this request's type, which is replaced: in hexadecimal. */
  readonly forged: string;
}

/** How many bytes strace writes over what is sent at most. */
const mostForged = 1024;

/** False for a request so far behind in what is sent that strace cannot forge it. */
export function isForgeable({ forged }: RequestPoint): boolean {
  return forged.length <= 2 * mostForged;
}

/** The words before a program's that write what it sends into a file. */
export function sendTraceWords(file: string): readonly string[] {
  return ["strace", "-f", "-qq", "-o", file, "-e", "trace=sendto", "-e", "write=all"];
}

/** The words before a program's that let the kernel refuse one request of a run that sends the same. */
export function refusalWords({ call, forged }: RequestPoint, file: string): readonly string[] {
  const inject = `inject=sendto:poke_enter=@arg2=${forged}:when=${call}`;
  return ["strace", "-f", "-qq", "-o", file, "-e", "trace=sendto", "-e", inject];
}

/** The requests of a trace of sendTraceWords, in their order. */
export function parseRequests(trace: string): readonly RequestPoint[] {
  const calls = trace.split(/^\d+ +sendto\(/m).slice(1);
  return calls.flatMap((text, at) => requestsOf(dumpedHex(text), at + 1));
}

/** ` | 00010  00 00 …  00 00 …  text |`: 16 bytes a line. */
function dumpedHex(text: string): string {
  const lines = [...text.matchAll(/^ \| [\da-f]+ {2}(?<bytes>[\da-f ]{49})/gm)];
  return lines.map(({ groups }) => (groups?.["bytes"] ?? "").replaceAll(" ", "")).join("");
}

/** Each begins with its length, of 32 bits, and its type, of 16; the next begins at a multiple of 4. */
function requestsOf(hex: string, call: number): readonly RequestPoint[] {
  const bytes = hexToBytes(hex);
  const points: RequestPoint[] = [];
  const types: number[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const header = new ByteReader(bytes.subarray(offset));
    const length = header.u32();
    types.push(header.u16());
    points.push({ call, index: points.length, forged: `${hex.slice(0, (offset + 4) * 2)}${unknownType}` });
    offset += Math.ceil(length / 4) * 4;
  }
  // No kernel refuses the end of a transaction; without it nothing is done, although all before was acknowledged.
  const isTransaction = types.length > 1 && types[0] === NFNL_MSG_BATCH_BEGIN && types.at(-1) === NFNL_MSG_BATCH_END;
  return isTransaction ? points.slice(0, -1) : points;
}

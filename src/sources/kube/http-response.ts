import { unreachable } from "../../base/error.ts";

/** An answer that is not HTTP/1.1. */
export class HttpError extends Error {
  override readonly name = "HttpError";
}

/** The beginning of an answer. */
export interface ResponseHead {
  readonly status: number;
  /** By name in lower case; of several the last. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Who takes an answer as it comes. What these throw ends the exchange. */
export interface ResponseReceiver {
  head(head: ResponseHead): void;
  /** A part of the body; the bytes are valid only during the call. */
  body(bytes: Uint8Array): void;
}

const largestHead = 64 * 1024;
/** A line that announces a chunk: the length in hexadecimal, perhaps with extensions. */
const largestLine = 4096;
/** A chunk's length has no more: it is kept as an exact number. */
const mostDigits = 8;

type State = "head" | "length" | "close" | "chunk-size" | "chunk" | "chunk-end" | "trailer" | "done";

/**
 * Reads one HTTP/1.1 answer, to anything but HEAD, from pieces of any size (RFC 9112). The body is handed on as it comes,
 * without being copied.
 */
export class ResponseReader {
  readonly #receiver: ResponseReceiver;
  #state: State = "head";
  /** What was read of the head or of a line that is not complete. */
  #text = "";
  #remaining = 0;

  constructor(receiver: ResponseReceiver) {
    this.#receiver = receiver;
  }

  /** True when the answer is complete. */
  get done(): boolean {
    return this.#state === "done";
  }

  /** Takes the next piece. Throws an HttpError, and what the receiver throws. */
  push(bytes: Uint8Array): void {
    let offset = 0;
    while (offset < bytes.length && this.#state !== "done") offset = this.#step(bytes, offset);
  }

  /** The connection has ended: complete, or cut, for which it throws an HttpError. */
  end(): void {
    if (this.#state === "close") this.#state = "done";
    if (this.#state !== "done") {
      throw new HttpError(this.#state === "head" ? "it ended before it answered" : "it ended within the answer");
    }
  }

  #step(bytes: Uint8Array, offset: number): number {
    switch (this.#state) {
      case "head":
        return this.#readHead(bytes, offset);
      case "length":
      case "chunk":
        return this.#readBody(bytes, offset);
      case "close":
        this.#receiver.body(bytes.subarray(offset));
        return bytes.length;
      case "chunk-size":
      case "chunk-end":
        return this.#readShortLine(bytes, offset) ?? this.#readLine(bytes, offset);
      case "trailer":
        return this.#readLine(bytes, offset);
      case "done":
        return bytes.length;
      default:
        return unreachable(this.#state);
    }
  }

  #readHead(bytes: Uint8Array, offset: number): number {
    // The end may lie across a border: a few characters of what was there before are looked at again.
    const before = this.#text.length;
    this.#text += latin1(bytes, offset, Math.min(bytes.length, offset + largestHead));
    const end = this.#text.indexOf("\r\n\r\n", Math.max(0, before - 3));
    if (end < 0) {
      if (this.#text.length >= largestHead) throw new HttpError("the head of its answer is too long");
      return bytes.length;
    }
    const head = parseHead(this.#text.slice(0, end));
    this.#text = "";
    const next = offset + end + 4 - before;
    // 100 Continue and its like precede the answer.
    if (head.status < 200) return next;
    this.#state = this.#bodyState(head);
    this.#receiver.head(head);
    return next;
  }

  #bodyState({ status, headers }: ResponseHead): State {
    if (status === 204 || status === 304) return "done";
    const coding = headers.get("transfer-encoding");
    if (coding !== undefined) {
      if (coding.toLowerCase() !== "chunked") throw new HttpError(`its transfer coding is "${coding}"`);
      return "chunk-size";
    }
    const text = headers.get("content-length");
    if (text === undefined) return "close";
    if (!/^\d{1,15}$/.test(text)) throw new HttpError(`its content length is "${text}"`);
    this.#remaining = Number(text);
    return this.#remaining === 0 ? "done" : "length";
  }

  #readBody(bytes: Uint8Array, offset: number): number {
    const count = Math.min(this.#remaining, bytes.length - offset);
    this.#remaining -= count;
    if (this.#remaining === 0) this.#state = this.#state === "chunk" ? "chunk-end" : "done";
    this.#receiver.body(bytes.subarray(offset, offset + count));
    return offset + count;
  }

  /** Reads a line between chunks that lies whole in the piece and has nothing but what it must: as nearly all are. */
  #readShortLine(bytes: Uint8Array, offset: number): number | undefined {
    if (this.#text !== "") return undefined;
    let end = offset;
    let length = 0;
    for (let digit = hexValue(bytes[end]); digit >= 0 && end < offset + mostDigits; digit = hexValue(bytes[++end])) {
      length = length * 16 + digit;
    }
    const isEmpty = end === offset;
    if (bytes[end] !== 0x0d || bytes[end + 1] !== 0x0a || isEmpty !== (this.#state === "chunk-end")) return undefined;
    if (isEmpty) this.#state = "chunk-size";
    else this.#beginChunk(length);
    return end + 2;
  }

  #readLine(bytes: Uint8Array, offset: number): number {
    const newline = bytes.indexOf(0x0a, offset);
    const end = newline < 0 ? bytes.length : newline + 1;
    this.#text += latin1(bytes, offset, Math.min(end, offset + largestLine + 1));
    if (this.#text.length > largestLine) throw new HttpError("a line of its answer is too long");
    if (newline < 0) return end;
    const line = this.#text.replace(/\r?\n$/, "");
    this.#text = "";
    this.#takeLine(line);
    return end;
  }

  #takeLine(line: string): void {
    if (this.#state === "chunk-end") {
      if (line !== "") throw new HttpError("a chunk of its answer is longer than announced");
      this.#state = "chunk-size";
    } else if (this.#state === "trailer") {
      if (line === "") this.#state = "done";
    } else {
      const [, digits] = /^([0-9A-Fa-f]{1,8})\s*(?:;.*)?$/.exec(line) ?? [];
      if (digits === undefined) throw new HttpError("a chunk of its answer has no length");
      this.#beginChunk(Number.parseInt(digits, 16));
    }
  }

  #beginChunk(length: number): void {
    this.#remaining = length;
    this.#state = length === 0 ? "trailer" : "chunk";
  }
}

function parseHead(text: string): ResponseHead {
  const [first = "", ...lines] = text.split("\r\n");
  const [, status] = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first) ?? [];
  if (status === undefined) throw new HttpError("it does not speak HTTP/1.1");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(status), headers };
}

/** The value of a hexadecimal digit in ASCII, -1 for anything else. */
function hexValue(code = 0): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let index = start; index < end; index++) text += String.fromCharCode(bytes[index] ?? 0);
  return text;
}

import { ProtobufError } from "./protobuf.ts";

/** Larger than any object that etcd takes (1.5 MB), with room: a length beyond it is no length. */
const largestFrame = 16 * 1024 * 1024;
const lengthBytes = 4;

/** Called with where a frame lies; the bytes are valid only during the call. */
export type FrameHandler = (bytes: Uint8Array, start: number, end: number) => void;

/**
 * Cuts a stream into its frames, each a length of four bytes, most significant first, and the content. Frames that lie
 * whole in a chunk are handed on where they are; only one that is cut by the border is copied, into one buffer that is
 * used again.
 */
export class FrameSplitter {
  readonly #handle: FrameHandler;
  #pending = new Uint8Array(0);
  #length = 0;

  constructor(handle: FrameHandler) {
    this.#handle = handle;
  }

  /** True between two frames: a stream that ends then ends cleanly. */
  get empty(): boolean {
    return this.#length === 0;
  }

  /** Takes the next chunk. Throws a ProtobufError for a length that cannot be, and what the handler throws. */
  push(chunk: Uint8Array): void {
    let offset = 0;
    while (this.#length > 0 && offset < chunk.length) {
      const wanted = this.#length < lengthBytes ? lengthBytes : lengthBytes + frameLength(this.#pending, 0);
      const count = Math.min(wanted - this.#length, chunk.length - offset);
      this.#append(chunk.subarray(offset, offset + count), wanted);
      offset += count;
      if (this.#length >= lengthBytes && this.#length === lengthBytes + frameLength(this.#pending, 0)) {
        const end = this.#length;
        this.#length = 0;
        this.#handle(this.#pending, lengthBytes, end);
      }
    }
    while (chunk.length - offset >= lengthBytes) {
      const end = offset + lengthBytes + frameLength(chunk, offset);
      if (end > chunk.length) break;
      this.#handle(chunk, offset + lengthBytes, end);
      offset = end;
    }
    if (offset < chunk.length) this.#append(chunk.subarray(offset), chunk.length - offset);
  }

  #append(bytes: Uint8Array, capacity: number): void {
    const length = this.#length + bytes.length;
    if (this.#pending.length < Math.max(length, capacity)) {
      const larger = new Uint8Array(Math.max(length, capacity, this.#pending.length * 2));
      larger.set(this.#pending.subarray(0, this.#length));
      this.#pending = larger;
    }
    this.#pending.set(bytes, this.#length);
    this.#length = length;
  }
}

function frameLength(bytes: Uint8Array, offset: number): number {
  let length = 0;
  for (let index = 0; index < lengthBytes; index++) length = length * 256 + (bytes[offset + index] ?? 0);
  if (length > largestFrame) throw new ProtobufError(`Cannot read the watch: a frame of ${length} bytes`);
  return length;
}

/** All bytes of a stream. Throws an Error when it carries anything else. */
export async function collectBytes(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError(`Cannot read the stream: it carries a ${typeof chunk}`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

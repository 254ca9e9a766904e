/** Text as UTF-8. One encoder and one decoder serve all: making them anew costs a plugin more than their work. */

const encoder = new TextEncoder();
/** A byte order mark stays, so that what must not begin with one is refused, as Go's readers do. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The UTF-8 bytes of a text. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** The text of UTF-8 bytes; what is no UTF-8 becomes U+FFFD. */
export function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

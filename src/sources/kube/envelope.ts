/** How the Kubernetes API wraps objects in protobuf (k8s.io/apimachinery, generated.proto and protobuf.go). */
import { FieldWalker, isText, ProtobufError } from "./protobuf.ts";

/** What each object is preceded by. */
const magic = [0x6b, 0x38, 0x73, 0x00] as const;

/**
 * The object in an envelope: a walker over it, and its kind.
 *
 *     "k8s\0" message Unknown { TypeMeta typeMeta = 1; bytes raw = 2; string contentEncoding = 3; contentType = 4; }
 *     message TypeMeta { string apiVersion = 1; string kind = 2; }
 */
export interface Envelope {
  readonly kind: string;
  readonly object: FieldWalker;
}

/** Opens an envelope. Throws a ProtobufError. */
export function openEnvelope(bytes: Uint8Array, start = 0, end: number = bytes.length): Envelope {
  if (end - start < magic.length || magic.some((byte, index) => bytes[start + index] !== byte)) {
    throw new ProtobufError("Cannot read an object of the API: it does not begin with k8s\\0");
  }
  const unknown = new FieldWalker(bytes, start + magic.length, end);
  let kind = "";
  let object: FieldWalker | undefined;
  while (unknown.next()) {
    if (unknown.number === 1) kind = kindOf(unknown.message());
    else if (unknown.number === 2) object = unknown.message();
  }
  return { kind, object: object ?? new FieldWalker(bytes, end, end) };
}

function kindOf(typeMeta: FieldWalker): string {
  while (typeMeta.next()) {
    // By far the most are of this kind.
    if (typeMeta.number === 2) return isText(typeMeta.bytes, typeMeta, "Node") ? "Node" : typeMeta.text();
  }
  return "";
}

/** The API's answer to what failed. */
export interface ApiStatus {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}

/** Reads a Status: metadata 1, status 2, message 3, reason 4, details 5, code 6. */
export function decodeStatus(object: FieldWalker): ApiStatus {
  let [code, reason, message] = [0, "", ""];
  while (object.next()) {
    if (object.number === 3) message = object.text();
    else if (object.number === 4) reason = object.text();
    else if (object.number === 6) code = object.value;
  }
  return { code, reason, message };
}

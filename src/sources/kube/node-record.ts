import { type AnnotationName, isAnnotationName } from "./annotations.ts";
import { decodeText, type FieldWalker, isText } from "./protobuf.ts";

/** What a lease needs of a Node object. */
export interface NodeRecord {
  readonly name: string;
  readonly resourceVersion: string;
  readonly podCidrs: readonly string[];
  /** Those of flannel's, by name without prefix. */
  readonly annotations: ReadonlyMap<AnnotationName, string>;
  /** The end of the initial list, which only a bookmark has (k8s.io/initial-events-end). */
  readonly initialEnd: boolean;
}

/** The condition that tells whether a node's network is there. */
export interface NetworkCondition {
  readonly status: string;
  readonly reason: string;
}

const initialEndKey = "k8s.io/initial-events-end";

/** Reads Node objects whose annotations have one prefix. */
export class NodeDecoder {
  readonly #prefix: Uint8Array;

  constructor(prefix: string) {
    this.#prefix = new TextEncoder().encode(prefix);
  }

  /** Node: metadata 1, spec 2, status 3. Throws a ProtobufError. */
  decode(node: FieldWalker): NodeRecord {
    const annotations = new Map<AnnotationName, string>();
    const record = { name: "", resourceVersion: "", podCidrs: noCidrs, annotations, initialEnd: false };
    while (node.next()) {
      if (node.number === 1) this.#readMetadata(node.message(), record);
      else if (node.number === 2) record.podCidrs = readPodCidrs(node.message());
      // In the order of their numbers: the status, which is most of it, is left alone.
      if (node.number >= 2) break;
    }
    return record;
  }

  /** ObjectMeta: name 1, resourceVersion 6, annotations 12; an entry of a map: key 1, value 2. */
  #readMetadata(
    metadata: FieldWalker,
    record: { name: string; resourceVersion: string; annotations: Map<AnnotationName, string>; initialEnd: boolean },
  ): void {
    while (metadata.next()) {
      if (metadata.number === 1) record.name = metadata.text();
      else if (metadata.number === 6) record.resourceVersion = metadata.text();
      else if (metadata.number === 12) this.#readAnnotation(metadata.message(), record);
      // What follows, the fields' managers, is a third of a Node.
      if (metadata.number > 12) break;
    }
  }

  #readAnnotation(entry: FieldWalker, record: { annotations: Map<AnnotationName, string>; initialEnd: boolean }): void {
    const { bytes } = entry;
    let [nameStart, nameEnd, value] = [0, 0, ""];
    let [isOurs, isEnd] = [false, false];
    while (entry.next()) {
      if (entry.number === 1) {
        isOurs = this.#hasPrefix(bytes, entry.start, entry.end);
        isEnd = !isOurs && isText(bytes, entry, initialEndKey);
        if (!isOurs && !isEnd) return;
        nameStart = entry.start + this.#prefix.length;
        nameEnd = entry.end;
      } else if (entry.number === 2) value = entry.text();
    }
    if (isEnd && value === "true") record.initialEnd = true;
    if (!isOurs) return;
    const name = decodeText(bytes, nameStart, nameEnd);
    if (isAnnotationName(name)) record.annotations.set(name, value);
  }

  #hasPrefix(bytes: Uint8Array, start: number, end: number): boolean {
    const prefix = this.#prefix;
    if (end - start <= prefix.length) return false;
    for (let index = prefix.length - 1; index >= 0; index--) {
      if (bytes[start + index] !== prefix[index]) return false;
    }
    return true;
  }
}

const noCidrs: readonly string[] = [];

/** NodeSpec: podCIDR 1, podCIDRs 7; an object that has only the first is of a time before there were two. */
function readPodCidrs(spec: FieldWalker): readonly string[] {
  let single = "";
  const several: string[] = [];
  while (spec.next()) {
    if (spec.number === 1) single = spec.text();
    else if (spec.number === 7) several.push(spec.text());
  }
  if (several.length > 0) return several;
  return single === "" ? noCidrs : [single];
}

/** Node: status 3; NodeStatus: conditions 4; NodeCondition: type 1, status 2, reason 5. Undefined when there is none. */
export function findNetworkCondition(node: FieldWalker): NetworkCondition | undefined {
  while (node.next()) {
    if (node.number !== 3) continue;
    const status = node.message();
    while (status.next()) {
      if (status.number !== 4) continue;
      const condition = status.message();
      let [type, value, reason] = ["", "", ""];
      while (condition.next()) {
        if (condition.number === 1) type = condition.text();
        else if (condition.number === 2) value = condition.text();
        else if (condition.number === 5) reason = condition.text();
      }
      if (type === "NetworkUnavailable") return { status: value, reason };
    }
  }
  return undefined;
}

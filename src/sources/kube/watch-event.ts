import { type ApiStatus, decodeStatus, openEnvelope } from "./envelope.ts";
import { findNetworkCondition, type NetworkCondition, type NodeDecoder, type NodeRecord } from "./node-record.ts";
import { FieldWalker, isText, ProtobufError } from "./protobuf.ts";

/** What a watch of nodes tells. */
export type NodeEvent =
  | { readonly kind: "present"; readonly record: NodeRecord; readonly condition: NetworkCondition | undefined }
  | { readonly kind: "deleted"; readonly name: string; readonly resourceVersion: string }
  | { readonly kind: "bookmark"; readonly resourceVersion: string; readonly initialEnd: boolean }
  | { readonly kind: "error"; readonly status: ApiStatus };

/**
 * Reads one event. Of the node `own` the condition is read as well.
 *
 *     message WatchEvent { string type = 1; RawExtension object = 2; }   message RawExtension { bytes raw = 1; }
 *
 * The event itself has no envelope, only its object. Throws a ProtobufError.
 */
export function decodeNodeEvent(
  bytes: Uint8Array,
  { start, end }: { readonly start: number; readonly end: number },
  { nodes, own }: { readonly nodes: NodeDecoder; readonly own: string | undefined },
): NodeEvent {
  const event = new FieldWalker(bytes, start, end);
  let type = "";
  let [rawStart, rawEnd] = [end, end];
  while (event.next()) {
    if (event.number === 1) type = isText(bytes, event, "MODIFIED") ? "MODIFIED" : event.text();
    else if (event.number === 2) {
      const extension = event.message();
      while (extension.next()) if (extension.number === 1) [rawStart, rawEnd] = [extension.start, extension.end];
    }
  }
  const { kind, object } = openEnvelope(bytes, rawStart, rawEnd);
  if (type === "ERROR") return { kind: "error", status: decodeStatus(object) };
  if (kind !== "Node") throw new ProtobufError(`Cannot read the watch of nodes: it tells of a "${kind}"`);
  const record = nodes.decode(object);
  const { name, resourceVersion, initialEnd } = record;
  if (type === "BOOKMARK") return { kind: "bookmark", resourceVersion, initialEnd };
  if (type === "DELETED") return { kind: "deleted", name, resourceVersion };
  if (type !== "ADDED" && type !== "MODIFIED") {
    throw new ProtobufError(`Cannot read the watch of nodes: its event is a "${type}"`);
  }
  const condition = name === own ? findNetworkCondition(openEnvelope(bytes, rawStart, rawEnd).object) : undefined;
  return { kind: "present", record, condition };
}

/** A page of the list of nodes. */
export interface NodePage {
  readonly resourceVersion: string;
  /** Where the next page begins; empty for the last. */
  readonly next: string;
  readonly records: readonly { readonly record: NodeRecord; readonly condition: NetworkCondition | undefined }[];
}

/** NodeList: metadata 1 (ListMeta: resourceVersion 2, continue 3), items 2. Throws a ProtobufError. */
export function decodeNodePage(
  bytes: Uint8Array,
  { nodes, own }: { readonly nodes: NodeDecoder; readonly own: string | undefined },
): NodePage {
  const { kind, object } = openEnvelope(bytes);
  if (kind !== "NodeList") throw new ProtobufError(`Cannot read the list of nodes: it is a "${kind}"`);
  let [resourceVersion, next] = ["", ""];
  const records: { record: NodeRecord; condition: NetworkCondition | undefined }[] = [];
  while (object.next()) {
    if (object.number === 1) {
      const meta = object.message();
      while (meta.next()) {
        if (meta.number === 2) resourceVersion = meta.text();
        else if (meta.number === 3) next = meta.text();
      }
    } else if (object.number === 2) {
      const record = nodes.decode(object.message());
      records.push({ record, condition: record.name === own ? findNetworkCondition(object.message()) : undefined });
    }
  }
  return { resourceVersion, next, records };
}

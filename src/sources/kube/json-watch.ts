/** A watch in JSON, for programs that want whole objects: one event a line. The daemon's own is watch.ts. */
import { Decoder, type JsonObject, parseJson } from "../../base/decode.ts";
import { ApiError, type KubeApi, watchLimits } from "./api.ts";
import type { ApiStatus } from "./envelope.ts";
import { LineSplitter } from "./lines.ts";

/** What has happened: ADDED, MODIFIED, DELETED or BOOKMARK, and to which object. */
export interface JsonEvent {
  readonly type: string;
  readonly object: JsonObject;
}

/**
 * Asks for a watch, by a path with its query, and hands on its events as they come, until the server ends the stream.
 * Rejects with an ApiError where the server refuses, or says so in an event (410: it no longer has the version that was
 * asked for); else as `KubeApi.stream`.
 */
export async function watchJson(
  api: KubeApi,
  path: string,
  options: { readonly take: (event: JsonEvent) => void; readonly signal: AbortSignal },
): Promise<void> {
  const what = `watch ${path.split("?", 1)[0] ?? ""}`;
  const lines = new LineSplitter((line) => options.take(readEvent(what, line)));
  const receiver = {
    accepted: (): void => undefined,
    body: (bytes: Uint8Array): void => lines.push(bytes),
  };
  const request = { what, method: "GET", path, accept: "application/json" } as const;
  await api.stream(request, receiver, { signal: options.signal, limits: watchLimits });
}

function readEvent(what: string, line: string): JsonEvent {
  try {
    const event = new Decoder(parseJson(line));
    const type = event.field("type").string() ?? "";
    const object = event.field("object");
    if (type === "ERROR") throw new ApiError(what, readStatus(object));
    if (object.field("metadata").field("resourceVersion").absent) throw new Error("its object has no version");
    return { type, object: object.object() ?? {} };
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new Error(`Cannot ${what}: an event cannot be read`, { cause: error });
  }
}

function readStatus(status: Decoder): ApiStatus {
  const [reason = "", message = ""] = [status.field("reason").string(), status.field("message").string()];
  return { code: status.field("code").integer() ?? 0, reason, message };
}

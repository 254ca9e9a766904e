import { Decoder, parseJson } from "../../base/decode.ts";
import { version } from "../../base/version.ts";
import type { ApiAccess, Credentials } from "./credentials.ts";
import { type ApiStatus, decodeStatus, openEnvelope } from "./envelope.ts";
import type { ResponseReceiver } from "./http-response.ts";
import { exchange, type HttpMethod, type HttpRequest, type TransportLimits } from "./transport.ts";

/** An answer of the API server that is no success. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: number;
  readonly reason: string;

  constructor(what: string, { code, reason, message }: ApiStatus) {
    super(
      `Cannot ${what}: the API server answers ${code} ${[reason, message].filter((part) => part !== "").join(": ")}`,
    );
    this.code = code;
    this.reason = reason;
  }
}

/** How long an exchange waits for what. */
export const usualLimits: TransportLimits = { connectMs: 5000, answerMs: 15_000, idleMs: 15_000 };

/**
 * How long a watch waits. Bookmarks come every 60 s, so that a server which is silent for longer hangs. A limit much
 * nearer would end healthy watches.
 */
export const watchLimits: TransportLimits = { connectMs: 5000, answerMs: 30_000, idleMs: 80_000 };

/** An error's text is a message for people; what is longer is a page of some proxy. */
const largestErrorBody = 16 * 1024;

export const protobufType = "application/vnd.kubernetes.protobuf";
const unauthorized = 401;

/** What is asked of the API server. */
export interface ApiRequest {
  /** For errors: `patch node "a"`. */
  readonly what: string;
  readonly method: HttpMethod;
  readonly path: string;
  readonly accept: string;
  readonly body?: { readonly type: string; readonly text: string };
}

/** Who takes the answer. What these throw ends the request. */
export interface ApiReceiver {
  /** It is a success. */
  accepted(): void;
  body(bytes: Uint8Array): void;
}

/** Asks the API server, with the credentials as they are at the time. */
export class KubeApi {
  readonly credentials: Credentials;

  constructor(credentials: Credentials) {
    this.credentials = credentials;
  }

  /** Sends a request and returns the whole body of the answer. Rejects with an ApiError, TransportError or another. */
  async ask(request: ApiRequest, signal: AbortSignal, limits: TransportLimits = usualLimits): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    await this.stream(
      request,
      {
        accepted(): void {
          parts.length = 0;
        },
        body(bytes): void {
          parts.push(bytes.slice());
          length += bytes.length;
        },
      },
      { signal, limits },
    );
    return joinBytes(parts, length);
  }

  /** Sends a request and hands the answer on as it comes. Rejects with an ApiError, TransportError or another. */
  async stream(
    request: ApiRequest,
    receiver: ApiReceiver,
    options: { readonly signal: AbortSignal; readonly limits: TransportLimits },
  ): Promise<void> {
    const answer = new Answer(receiver);
    const { method, path, accept, body } = request;
    const headers = { Accept: accept, ...(body === undefined ? {} : { "Content-Type": body.type }) };
    try {
      await this.send({ method, path, headers, body: body?.text }, { ...options, receiver: answer });
    } catch (error) {
      if (answer.refusal === undefined) throw error;
    }
    if (answer.refusal !== undefined) throw new ApiError(request.what, answer.refusal());
  }

  /**
   * Sends a request as it is, and hands on whatever is answered. A refusal of the credentials is tried once more with
   * fresh ones: a token may have been replaced the moment before.
   */
  async send(
    request: HttpRequest,
    options: { readonly receiver: ResponseReceiver; readonly limits: TransportLimits; readonly signal: AbortSignal },
  ): Promise<void> {
    const { receiver } = options;
    const access = await this.credentials.access();
    const first: ResponseReceiver = {
      head: (head): void => {
        if (head.status === unauthorized) throw new RefusedError();
        receiver.head(head);
      },
      body: (bytes) => receiver.body(bytes),
    };
    try {
      await exchange(access.endpoint, authorized(request, access), { ...options, receiver: first });
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.credentials.refused(access);
      const next = await this.credentials.access();
      await exchange(next.endpoint, authorized(request, next), options);
    }
  }
}

/** The credentials were refused, which nobody was told yet. */
class RefusedError extends Error {
  override readonly name = "RefusedError";
}

function authorized(request: HttpRequest, { basePath, authorization }: ApiAccess): HttpRequest {
  return {
    ...request,
    path: `${basePath}${request.path}`,
    headers: {
      ...request.headers,
      "User-Agent": `flanneld/tartan-${version}`,
      ...(authorization === undefined ? {} : { Authorization: authorization }),
    },
  };
}

/** Tells a success, whose body is passed on, from a refusal, whose body says why. */
class Answer implements ResponseReceiver {
  readonly #receiver: ApiReceiver;
  #code = 0;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  constructor(receiver: ApiReceiver) {
    this.#receiver = receiver;
  }

  /** Why it was refused; undefined for a success and before the answer. */
  get refusal(): (() => ApiStatus) | undefined {
    if (this.#code === 0 || isSuccess(this.#code)) return undefined;
    return (): ApiStatus => readRefusal(this.#code, joinBytes(this.#parts, this.#length));
  }

  head({ status }: { readonly status: number }): void {
    this.#code = status;
    if (isSuccess(status)) this.#receiver.accepted();
  }

  body(bytes: Uint8Array): void {
    if (isSuccess(this.#code)) {
      this.#receiver.body(bytes);
    } else if (this.#length < largestErrorBody) {
      this.#parts.push(bytes.slice());
      this.#length += bytes.length;
    }
  }
}

/** A Status, as protobuf or as JSON, as the API server answers; or whatever a proxy before it says. */
export function readRefusal(code: number, bytes: Uint8Array): ApiStatus {
  try {
    return { ...decodeStatus(openEnvelope(bytes).object), code };
  } catch {
    // It is JSON, or not the API server's.
  }
  const text = new TextDecoder().decode(bytes).trim();
  try {
    const status = new Decoder(parseJson(text));
    const [reason = "", message = ""] = [status.field("reason").string(), status.field("message").string()];
    if (message !== "") return { code, reason, message };
  } catch {
    // It is not the API server's.
  }
  return { code, reason: "", message: text.slice(0, 300) };
}

/** True for what is no refusal. */
export function isSuccess(code: number): boolean {
  return code >= 200 && code < 300;
}

function joinBytes(parts: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

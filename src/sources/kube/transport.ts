import { findSystemRoots } from "./system-roots.ts";
import { HttpError, ResponseReader, type ResponseReceiver } from "./http-response.ts";

/** How a server proves who it is, and we who we are. */
interface TlsSettings {
  /** Certificates in PEM of those whose signature counts; undefined takes the system's, and Bun's where it has none. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** The name that the certificate must have, when it is not the host's. */
  readonly serverName: string | undefined;
  /** False only where the user's kubeconfig says insecure-skip-tls-verify. */
  readonly verify: boolean;
}

/** Where a server is. */
export interface Endpoint {
  /** A name or an address, an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Undefined for plain http. */
  readonly tls: TlsSettings | undefined;
}

/** What may be asked; HEAD is not among it, whose answer has another form. */
export type HttpMethod = "GET" | "PATCH" | "POST" | "PUT" | "DELETE";

/** One request. */
export interface HttpRequest {
  readonly method: HttpMethod;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** How long, in milliseconds, an exchange waits for what. */
export interface TransportLimits {
  /** Until the connection is there and TLS has shaken hands. */
  readonly connectMs: number;
  /** Until the answer begins. */
  readonly answerMs: number;
  /** Between two parts of the answer. */
  readonly idleMs: number;
}

/** An exchange that did not come to its end. */
class TransportError extends Error {
  override readonly name = "TransportError";
}

/**
 * The kernel asks a peer that was silent for so long whether it is there, then each second: a link that was cut is noticed
 * 30 s after the last byte, without any request (Bun sets ten probes, one second apart).
 */
const keepAliveMs = 20_000;

/**
 * Sends one request over a connection of its own and hands the answer on as it comes; settles at its end. Not `fetch`:
 * this notices a cut link in 30 s instead of 71, costs 6 MB less (no second thread), and obeys neither HTTPS_PROXY
 * nor NODE_TLS_REJECT_UNAUTHORIZED. Nothing is sent before the certificate was checked. Rejects with a TransportError
 * that names the server, or with what the receiver threw.
 */
export async function exchange(
  endpoint: Endpoint,
  request: HttpRequest,
  options: { readonly receiver: ResponseReceiver; readonly limits: TransportLimits; readonly signal: AbortSignal },
): Promise<void> {
  using running = new Exchange(endpoint, request, options);
  await running.run();
}

type Phase = "connect" | "answer" | "idle";

const phaseTexts: Readonly<Record<Phase, string>> = {
  connect: "no connection",
  answer: "no answer",
  idle: "silence",
};

class Exchange implements Disposable {
  readonly #endpoint: Endpoint;
  readonly #limits: TransportLimits;
  readonly #signal: AbortSignal;
  readonly #reader: ResponseReader;
  readonly #ended = Promise.withResolvers<void>();
  /** What is still to be written. */
  #output: Uint8Array;
  #socket: Bun.Socket | undefined;
  #over = false;
  #phase: Phase = "connect";
  #heardAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    endpoint: Endpoint,
    request: HttpRequest,
    options: { readonly receiver: ResponseReceiver; readonly limits: TransportLimits; readonly signal: AbortSignal },
  ) {
    this.#endpoint = endpoint;
    this.#limits = options.limits;
    this.#signal = options.signal;
    this.#output = encodeRequest(endpoint, request);
    const { receiver } = options;
    this.#reader = new ResponseReader({
      head: (head): void => {
        this.#enter("idle");
        receiver.head(head);
      },
      body: (bytes) => receiver.body(bytes),
    });
  }

  async run(): Promise<void> {
    this.#signal.throwIfAborted();
    this.#signal.addEventListener("abort", this.#abort);
    this.#enter("connect");
    this.#connect().catch((error: unknown) => this.#fail("it cannot be reached", error));
    await this.#ended.promise;
  }

  [Symbol.dispose](): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#abort);
    this.#socket?.terminate();
  }

  readonly #abort = (): void => {
    this.#end(this.#signal.reason);
  };

  async #connect(): Promise<void> {
    const { host, port, tls } = this.#endpoint;
    const socket = await Bun.connect({
      hostname: host,
      port,
      ...(tls === undefined ? {} : { tls: tlsOptions(tls) }),
      socket: {
        open: (opened): void => {
          opened.setKeepAlive(true, keepAliveMs);
          if (tls === undefined) this.#send(opened);
        },
        handshake: (shaken, _, verifyError): void => this.#shakeHands(shaken, verifyError),
        drain: (ready): void => this.#write(ready),
        data: (_, bytes): void => this.#take(bytes),
        end: (): void => this.#finish(),
        close: (_, error): void => this.#finish(error),
        error: (_, error): void => this.#fail("the connection failed", error),
      },
    });
    this.#socket = socket;
    // It may have ended meanwhile, by a time limit or by a signal.
    if (this.#over) socket.terminate();
  }

  /** Bun itself closes a connection whose certificate is not accepted; this says why, and is a second lock. */
  #shakeHands(socket: Bun.Socket, verifyError: Error | null): void {
    if (hasCode(verifyError, "ECONNRESET")) {
      this.#fail("the connection was closed before it was secure", undefined);
      return;
    }
    if (hasCode(verifyError, "EPROTO")) {
      this.#fail(tlsProblem(verifyError?.message ?? ""), verifyError);
      return;
    }
    if (this.#endpoint.tls?.verify !== false && !socket.authorized) {
      this.#fail("its certificate is not accepted", verifyError ?? new Error("it was not checked"));
      return;
    }
    this.#send(socket);
  }

  #send(socket: Bun.Socket): void {
    this.#enter("answer");
    this.#write(socket);
  }

  #write(socket: Bun.Socket): void {
    if (this.#over || this.#phase === "connect" || this.#output.length === 0) return;
    const count = socket.write(this.#output);
    if (count > 0) this.#output = this.#output.subarray(count);
  }

  #take(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#heardAt = performance.now();
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (error instanceof HttpError) this.#fail("its answer cannot be read", error);
      else this.#end(error);
      return;
    }
    if (this.#reader.done) this.#end(undefined);
  }

  #finish(error?: Error): void {
    if (this.#over) return;
    if (error !== undefined) {
      this.#fail("the connection was lost", error);
      return;
    }
    try {
      this.#reader.end();
      this.#end(undefined);
    } catch (cause) {
      this.#fail("the connection was closed", cause);
    }
  }

  #enter(phase: Phase): void {
    if (this.#over) return;
    this.#phase = phase;
    this.#heardAt = performance.now();
    clearTimeout(this.#timer);
    this.#arm();
  }

  /** One timer for many pieces of an answer: when it is due, it looks when the last one came. */
  #arm(): void {
    const limit = this.#limits[`${this.#phase}Ms`];
    const left = this.#heardAt + limit - performance.now();
    if (left <= 0) {
      this.#fail(`${phaseTexts[this.#phase]} for ${limit / 1000} s`, undefined);
      return;
    }
    this.#timer = setTimeout(() => this.#arm(), left);
  }

  #fail(what: string, cause: unknown): void {
    const { host, port } = this.#endpoint;
    const at = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    this.#end(new TransportError(`Cannot talk to ${at}: ${what}`, cause === undefined ? {} : { cause }));
  }

  #end(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    if (error === undefined) this.#ended.resolve();
    else this.#ended.reject(error);
  }
}

function hasCode(error: Error | null, code: string): boolean {
  return error !== null && "code" in error && error.code === code;
}

/** What a handshake came to that got as far as no certificate. */
function tlsProblem(message: string): string {
  if (/WRONG_VERSION_NUMBER|HTTP_REQUEST/.test(message)) return "it does not speak TLS (is it http, not https?)";
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(message)) return "it has no TLS 1.2 or newer";
  return "TLS has failed";
}

/** Given outright, since the environment's NODE_TLS_REJECT_UNAUTHORIZED would change the default. */
function tlsOptions({ ca, cert, key, serverName, verify }: TlsSettings): Bun.TLSOptions {
  const roots = ca ?? (verify ? findSystemRoots() : undefined);
  return {
    rejectUnauthorized: verify,
    ...(roots === undefined ? {} : { ca: roots }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

function encodeRequest({ host, port }: Endpoint, { method, path, headers, body }: HttpRequest): Uint8Array {
  const content = new TextEncoder().encode(body ?? "");
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host.includes(":") ? `[${host}]` : host}:${port}`,
    "Connection: close",
    ...(body === undefined ? [] : [`Content-Length: ${content.length}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  const head = new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`);
  const bytes = new Uint8Array(head.length + content.length);
  bytes.set(head);
  bytes.set(content, head.length);
  return bytes;
}

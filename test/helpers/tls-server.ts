import type { Socket, TCPSocketListener } from "bun";

import type { Certificate } from "./certificates.ts";

/** A request that a server has got. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The connection on which a request came: the test writes the answer, byte for byte. */
interface Connection {
  write(data: string | Uint8Array): void;
  /** Ends it as HTTP does. */
  end(): void;
  /** Breaks it. */
  terminate(): void;
}

type State = { text: string };

/** What a server does about a request. */
export type Answer = (request: SeenRequest, connection: Connection) => void;

/**
 * A server, with TLS or without, that does what no real API server can be made to do: show a wrong certificate, refuse a
 * token, fall silent, cut an answer. It answers whatever the test says.
 */
export class TlsServer implements Disposable {
  readonly requests: SeenRequest[] = [];
  answer: Answer;
  #connections = 0;
  readonly #listener: TCPSocketListener<State>;

  constructor(answer: Answer, tls?: Certificate, clientAuthority?: string) {
    this.answer = answer;
    const options =
      tls === undefined
        ? {}
        : {
            tls: {
              cert: tls.cert,
              key: tls.key,
              ...(clientAuthority === undefined
                ? {}
                : { ca: clientAuthority, requestCert: true, rejectUnauthorized: true }),
            },
          };
    this.#listener = Bun.listen<State>({
      hostname: "127.0.0.1",
      port: 0,
      ...options,
      socket: {
        open: (socket): void => {
          socket.data = { text: "" };
          this.#connections++;
        },
        close: (): void => void this.#connections--,
        data: (socket, bytes): void => this.#take(socket, bytes),
        error: (): void => undefined,
      },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections;
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }

  #take(socket: Socket<State>, bytes: Uint8Array): void {
    socket.data.text += new TextDecoder().decode(bytes);
    const end = socket.data.text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [first = "", ...lines] = socket.data.text.slice(0, end).split("\r\n");
    const headers = new Map(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
    );
    const body = socket.data.text.slice(end + 4);
    if (Buffer.byteLength(body) < Number(headers.get("content-length") ?? 0)) return;
    const [method = "", path = ""] = first.split(" ");
    const request = { method, path, headers, body };
    this.requests.push(request);
    this.answer(request, {
      write: (data) => void socket.write(data),
      end: () => void socket.end(),
      terminate: () => socket.terminate(),
    });
  }
}

/** The head of an answer whose body comes in chunks. */
export const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** One chunk of such a body. */
export function chunk(data: Uint8Array): Uint8Array {
  const ends = new TextEncoder().encode(`${data.length.toString(16)}\r\n`);
  return new Uint8Array(Buffer.concat([ends, data, new TextEncoder().encode("\r\n")]));
}

/** A whole answer in JSON. */
export function jsonAnswer(status: number, value: object): Uint8Array {
  const content = JSON.stringify(value);
  const head = `HTTP/1.1 ${status} Some\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(content)}`;
  return new TextEncoder().encode(`${head}\r\n\r\n${content}`);
}

/** A whole answer. */
export function wholeAnswer(status: number, body: Uint8Array | string = ""): Uint8Array {
  const content = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const head = `HTTP/1.1 ${status} Some\r\nContent-Length: ${content.length}\r\n\r\n`;
  return new Uint8Array(Buffer.concat([new TextEncoder().encode(head), content]));
}

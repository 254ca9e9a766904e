import type { Socket } from "bun";

/** Where bytes are taken from or brought to. */
export type RelayPoint = { readonly unix: string } | { readonly hostname: string; readonly port: number };

interface End {
  other: Socket<End> | undefined;
  /** What the socket does not take yet. */
  waiting: Uint8Array[];
  ending: boolean;
}

/**
 * Passes the bytes of connections on, in both directions. It can be cut, and take part again: a test makes a server
 * unreachable so, without touching it.
 */
export class Relay implements Disposable {
  readonly #from: RelayPoint;
  readonly #to: RelayPoint;
  readonly #sockets = new Set<Socket<End>>();
  #listener: { stop(closeActiveConnections?: boolean): void } | undefined;
  #port = 0;

  constructor(from: RelayPoint, to: RelayPoint) {
    this.#from = from;
    this.#to = to;
    this.listen();
  }

  /** The port on which it listens, the same one also after a cut. */
  get port(): number {
    return this.#port;
  }

  /** Takes connections, again after `cut`. */
  listen(): void {
    const socket = {
      open: (incoming: Socket<End>): void => void this.#join(incoming),
      data: forward,
      drain: flush,
      close: (closed: Socket<End>): void => this.#close(closed),
      error: (failed: Socket<End>): void => this.#close(failed),
    };
    const data: End = newEnd();
    if ("unix" in this.#from) {
      this.#listener = Bun.listen<End>({ unix: this.#from.unix, data, socket });
    } else {
      const { hostname, port } = this.#from;
      const listener = Bun.listen<End>({ hostname, port: this.#port === 0 ? port : this.#port, data, socket });
      this.#listener = listener;
      this.#port = listener.port;
    }
  }

  /** Breaks every connection and refuses new ones. */
  cut(): void {
    this.#listener?.stop(true);
    this.#listener = undefined;
    for (const socket of this.#sockets) socket.terminate();
    this.#sockets.clear();
  }

  [Symbol.dispose](): void {
    this.cut();
  }

  async #join(incoming: Socket<End>): Promise<void> {
    const mine = newEnd();
    incoming.data = mine;
    this.#sockets.add(incoming);
    const handlers = {
      data: forward,
      drain: flush,
      close: (closed: Socket<End>): void => this.#close(closed),
      error: (failed: Socket<End>): void => this.#close(failed),
      connectError: (): void => incoming.terminate(),
    };
    const data: End = { ...newEnd(), other: incoming };
    const target = this.#to;
    try {
      const outgoing =
        "unix" in target
          ? await Bun.connect<End>({ unix: target.unix, data, socket: handlers })
          : await Bun.connect<End>({ hostname: target.hostname, port: target.port, data, socket: handlers });
      this.#sockets.add(outgoing);
      mine.other = outgoing;
      for (const bytes of mine.waiting.splice(0)) send(outgoing, bytes);
    } catch {
      incoming.terminate();
    }
  }

  #close(socket: Socket<End>): void {
    this.#sockets.delete(socket);
    const { other } = socket.data;
    if (other === undefined) return;
    other.data.ending = true;
    if (other.data.waiting.length === 0) other.end();
  }
}

function newEnd(): End {
  return { other: undefined, waiting: [], ending: false };
}

function forward(socket: Socket<End>, bytes: Uint8Array): void {
  const { other } = socket.data;
  // Until there is another end, its bytes wait here.
  if (other === undefined) socket.data.waiting.push(bytes.slice());
  else send(other, bytes);
}

function send(socket: Socket<End>, bytes: Uint8Array): void {
  const end = socket.data;
  const written = end.waiting.length > 0 ? 0 : Math.max(0, socket.write(bytes));
  if (written < bytes.length) end.waiting.push(bytes.slice(written));
}

function flush(socket: Socket<End>): void {
  const end = socket.data;
  for (let first = end.waiting[0]; first !== undefined; first = end.waiting[0]) {
    const written = Math.max(0, socket.write(first));
    if (written < first.length) {
      end.waiting[0] = first.subarray(written);
      return;
    }
    end.waiting.shift();
  }
  if (end.ending) socket.end();
}

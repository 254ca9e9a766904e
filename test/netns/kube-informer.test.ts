/** That the Kubernetes library's informer, which watches by our transport, checks by it whom it hears, and loses nothing. */
import { afterAll, expect, test } from "bun:test";

import { errorText } from "../../src/base/error.ts";
import { ApiError, KubeApi } from "../../src/sources/kube/api.ts";
import { openNodeInformer, type V1Node, type V1NodeList } from "../../src/sources/kube/client.ts";
import { ServiceAccount } from "../../src/sources/kube/credentials.ts";
import type { Endpoint } from "../../src/sources/kube/transport.ts";
import { fixedCredentials } from "../helpers/credentials.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import { bearerToken, createParties, testTls } from "../helpers/tls-checks.ts";
import { type Answer, chunk, chunkedHead, jsonAnswer, TlsServer } from "../helpers/tls-server.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const directory = await createTemporaryDirectory();
afterAll(() => directory[Symbol.asyncDispose]());
const parties = await createParties(directory);

type Connection = Parameters<Answer>[1];

function node(name: string, resourceVersion: number): V1Node {
  return { kind: "Node", apiVersion: "v1", metadata: { name, resourceVersion: String(resourceVersion) } };
}

function line(type: string, object: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ type, object })}\n`);
}

function listOf(version: number, ...items: V1Node[]): V1NodeList {
  return { kind: "NodeList", metadata: { resourceVersion: String(version) }, items };
}

function emptyList(): Promise<V1NodeList> {
  return Promise.resolve(listOf(1));
}

/** Begins an answer that stays open, with these lines. */
function stream(connection: Connection, ...lines: readonly Uint8Array[]): void {
  connection.write(chunkedHead);
  for (const bytes of lines) connection.write(chunk(bytes));
}

function endStream(connection: Connection): void {
  connection.write("0\r\n\r\n");
  connection.end();
}

/** The name of the first node that a watch tells of. */
async function nameOfFirst(endpoint: Endpoint): Promise<string> {
  const api = new KubeApi(fixedCredentials(endpoint, { authorization: `Bearer ${bearerToken}` }));
  const first = Promise.withResolvers<string>();
  const informer = openNodeInformer(api, emptyList, new AbortController().signal);
  informer.on("add", ({ metadata }) => first.resolve(metadata?.name ?? ""));
  informer.on("error", (error) => first.reject(error));
  try {
    await informer.start();
    return await first.promise;
  } finally {
    await informer.stop();
  }
}

testTls(
  {
    name: "openNodeInformer()",
    ask: nameOfFirst,
    answer: (_, connection) => {
      stream(connection, line("ADDED", node("hello", 2)));
      endStream(connection);
    },
  },
  parties,
);

/** What a server does for one request. */
type Step = (connection: Connection) => void;

class Following implements AsyncDisposable {
  /** What was told, in short. */
  readonly told: string[] = [];
  readonly errors: unknown[] = [];
  lists = 0;
  readonly server: TlsServer;
  readonly stop = new AbortController();
  readonly #informer;

  /** Lists what `list` gives, and watches a server that answers the first watch by the first step, and so on; later ones wait. */
  constructor(steps: readonly Step[], list: (count: number) => V1NodeList = () => listOf(10, node("a", 5))) {
    let count = 0;
    this.server = new TlsServer((_, connection) => (steps[count++] ?? stream)(connection));
    const api = new KubeApi(fixedCredentials({ host: "127.0.0.1", port: this.server.port, tls: undefined }));
    this.#informer = openNodeInformer(api, () => Promise.resolve(list(++this.lists)), this.stop.signal);
    for (const verb of ["add", "update", "delete"] as const) {
      this.#informer.on(verb, ({ metadata }) => void this.told.push(`${verb} ${metadata?.name}`));
    }
    this.#informer.on("error", (error) => void this.errors.push(error));
  }

  async start(): Promise<void> {
    await this.#informer.start();
  }

  /** The versions after which was asked. */
  get versions(): readonly (string | null)[] {
    return this.server.requests.map(({ path }) => new URL(path, "http://a").searchParams.get("resourceVersion"));
  }

  get names(): readonly string[] {
    return this.#informer.list().map(({ metadata }) => metadata?.name ?? "");
  }

  async untilTold(count: number): Promise<void> {
    await waitUntil(`${count} things are told`, () => this.told.length >= count);
  }

  async untilFailed(): Promise<unknown> {
    await waitUntil("it has failed", () => this.errors.length > 0);
    return this.errors[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#informer.stop();
    this.server[Symbol.dispose]();
  }
}

test("openNodeInformer() asks for bookmarks after the list's version, and tells of all that comes, in its order", async () => {
  const events = Array.from({ length: 100 }, (_, index) => line("ADDED", node(`n${index}`, 11 + index)));
  const late = [line("MODIFIED", node("n7", 200)), line("DELETED", node("n8", 201))];
  await using following = new Following([(connection) => stream(connection, ...events, ...late)]);
  await following.start();
  await following.untilTold(103);
  const named = Array.from({ length: 100 }, (_, index) => `add n${index}`);
  expect(following.told).toEqual(["add a", ...named, "update n7", "delete n8"]);
  const [{ method, path, headers } = { method: "", path: "", headers: new Map<string, string>() }] =
    following.server.requests;
  expect(`${method} ${path}`).toBe("GET /api/v1/nodes?watch=true&allowWatchBookmarks=true&resourceVersion=10");
  expect(headers.get("accept")).toBe("application/json");
});

test("openNodeInformer() reads events that are cut anywhere, in a character as well, and several in one piece", async () => {
  const name = `ü€😀-${"x".repeat(9000)}`;
  const bytes = Buffer.concat([line("ADDED", node(name, 11)), line("ADDED", node("b", 12))]);
  const at = bytes.indexOf("😀") + 2;
  await using following = new Following([
    (connection) => stream(connection, bytes.subarray(0, at), bytes.subarray(at, at + 1), bytes.subarray(at + 1)),
  ]);
  await following.start();
  await following.untilTold(3);
  expect(following.told).toEqual(["add a", `add ${name}`, "add b"]);
});

test("openNodeInformer() goes on after the last version it has heard of when the server ends a watch", async () => {
  await using following = new Following([
    (connection) => {
      stream(connection, line("ADDED", node("b", 11)), line("BOOKMARK", node("", 40)));
      endStream(connection);
    },
    (connection) => stream(connection, line("DELETED", node("b", 41))),
  ]);
  await following.start();
  await following.untilTold(3);
  expect(following.told).toEqual(["add a", "add b", "delete b"]);
  expect(following.versions).toEqual(["10", "40"]);
  expect(following.lists).toBe(1);
  expect(following.errors).toEqual([]);
});

test.each<readonly [string, Step]>([
  [
    "as the answer",
    (connection): void => connection.write(jsonAnswer(410, { reason: "Expired", message: "old", code: 410 })),
  ],
  [
    "as an event, whether or not the server ends the stream then",
    (connection): void =>
      stream(connection, line("ERROR", { kind: "Status", code: 410, reason: "Expired", message: "old" })),
  ],
])("openNodeInformer() lists again where the version is gone, told %s, and tells what differs", async (_, step) => {
  const lists = [
    listOf(10, node("a", 5), node("b", 6), node("c", 7)),
    listOf(90, node("b", 6), node("c", 80), node("d", 81)),
  ];
  await using following = new Following([step], (count) => lists[count - 1] ?? listOf(0));
  await following.start();
  await following.untilTold(6);
  expect(following.told).toEqual(["add a", "add b", "add c", "delete a", "update c", "add d"]);
  await waitUntil("it watches again", () => following.server.requests.length === 2);
  expect(following.versions).toEqual(["10", "90"]);
  expect(following.errors).toEqual([]);
  expect(following.names.toSorted()).toEqual(["b", "c", "d"]);
});

test("openNodeInformer() tells what else ends a watch, and does not go on by itself", async () => {
  const status = { kind: "Status", code: 500, reason: "InternalError", message: "etcd" };
  const cases: readonly (readonly [Step, string])[] = [
    [
      (connection): void => connection.write(jsonAnswer(403, { message: "no" })),
      "Cannot watch /api/v1/nodes: the API server answers 403",
    ],
    [(connection): void => stream(connection, line("ERROR", status)), "answers 500 InternalError: etcd"],
    [
      (connection): void => stream(connection, new TextEncoder().encode("{\n")),
      "Cannot watch /api/v1/nodes: an event cannot be read: ",
    ],
    [(connection): void => stream(connection, line("ADDED", {})), "an event cannot be read: its object has no version"],
    [
      (connection): void => {
        stream(connection, line("ADDED", node("b", 11)));
        connection.end();
      },
      "it ended within the answer",
    ],
    [
      (connection): void => {
        stream(connection, line("ADDED", node("b", 11)));
        connection.terminate();
      },
      "Cannot talk to 127.0.0.1",
    ],
    [(connection): void => connection.terminate(), "Cannot talk to 127.0.0.1"],
  ];
  for (const [step, text] of cases) {
    await using following = new Following([step]);
    await following.start();
    expect(errorText(await following.untilFailed())).toContain(text);
    await Bun.sleep(20);
    expect(following.server.requests).toHaveLength(1);
    expect(following.errors).toHaveLength(1);
  }
});

test("openNodeInformer() closes the connection when it is stopped, and by the signal, which it tells", async () => {
  for (const end of ["stop", "signal"] as const) {
    await using following = new Following([]);
    await following.start();
    await waitUntil("it watches", () => following.server.connections === 1 && following.server.requests.length === 1);
    if (end === "stop") await following[Symbol.asyncDispose]();
    else following.stop.abort(new Error("enough"));
    await waitUntil("the connection is closed", () => following.server.connections === 0);
    expect(following.errors.map((error) => errorText(error))).toEqual(end === "stop" ? [] : ["enough"]);
  }
});

test("openNodeInformer() reads a pod's token anew for each watch, and once more when the server refuses it", async () => {
  await directory.write("account/ca.crt", parties.authority.own.cert);
  await directory.write("account/token", "old");
  using server = new TlsServer((seen, connection) => {
    if (seen.headers.get("authorization") === "Bearer old") {
      // The kubelet replaces the token just now.
      void directory.write("account/token", "new").then(() => connection.write(jsonAnswer(401, {})));
    } else {
      connection.write(jsonAnswer(401, { message: "no" }));
    }
  }, parties.good);
  const account = new ServiceAccount(`https://127.0.0.1:${server.port}`, directory.join("account"));
  const failure = Promise.withResolvers<unknown>();
  const informer = openNodeInformer(new KubeApi(account), emptyList, new AbortController().signal);
  informer.on("error", (error) => failure.resolve(error));
  await informer.start();
  expect(await failure.promise).toBeInstanceOf(ApiError);
  expect(server.requests.map(({ headers }) => headers.get("authorization"))).toEqual(["Bearer old", "Bearer new"]);
});

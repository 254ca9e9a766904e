/** That the connection to the API server is checked, against servers that ought not to be talked to. */
import { afterAll, expect, test } from "bun:test";

import { errorText } from "../../src/base/error.ts";
import { type Endpoint, exchange, type TransportLimits } from "../../src/sources/kube/transport.ts";
import { createAuthority } from "../helpers/certificates.ts";
import { rejection } from "../helpers/rejection.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import { type Answer, chunk, chunkedHead, TlsServer, wholeAnswer } from "../helpers/tls-server.ts";

const directory = await createTemporaryDirectory();
afterAll(() => directory[Symbol.asyncDispose]());
const authority = await createAuthority(directory);
const foreign = await createAuthority(directory, "foreign");
const good = await authority.sign("good", "/CN=good", ["IP:127.0.0.1", "DNS:kubernetes"]);
const misnamed = await authority.sign("misnamed", "/CN=127.0.0.1", ["IP:9.9.9.9", "DNS:other"]);
const client = await authority.sign("client", "/O=system:nodes/CN=system:node:a");
const stranger = await foreign.sign("stranger", "/CN=stranger");

const ca = authority.own.cert;
const limits: TransportLimits = { connectMs: 2000, answerMs: 2000, idleMs: 2000 };
const tls = { ca, cert: undefined, key: undefined, serverName: undefined, verify: true };

type Tls = Partial<NonNullable<Endpoint["tls"]>>;

interface Asked {
  readonly status: number;
  readonly body: string;
}

async function ask(
  server: TlsServer,
  changes: Tls | undefined,
  options: { readonly limits?: Partial<TransportLimits>; readonly signal?: AbortSignal } = {},
): Promise<Asked> {
  const asked = { status: 0, body: "" };
  const receiver = {
    head: ({ status }: { readonly status: number }): void => {
      asked.status = status;
    },
    body: (bytes: Uint8Array): void => {
      asked.body += new TextDecoder().decode(bytes);
    },
  };
  const endpoint = {
    host: "127.0.0.1",
    port: server.port,
    tls: changes === undefined ? undefined : { ...tls, ...changes },
  };
  const request = { method: "GET", path: "/x", headers: { Authorization: "Bearer secret" }, body: undefined } as const;
  await exchange(endpoint, request, {
    receiver,
    limits: { ...limits, ...options.limits },
    signal: options.signal ?? new AbortController().signal,
  });
  return asked;
}

function hello(...[, connection]: Parameters<Answer>): void {
  connection.write(wholeAnswer(200, "hello"));
  connection.end();
}

test("exchange() talks to a server whose certificate is signed by the authority and names its address", async () => {
  using server = new TlsServer(hello, good);
  expect(await ask(server, {})).toEqual({ status: 200, body: "hello" });
  expect(await ask(server, { serverName: "kubernetes" })).toEqual({ status: 200, body: "hello" });
  expect(server.requests.at(-1)?.headers.get("authorization")).toBe("Bearer secret");
  expect(server.requests.at(-1)?.headers.get("host")).toBe(`127.0.0.1:${server.port}`);
});

test("exchange() talks without TLS where the URL is http", async () => {
  using server = new TlsServer(hello);
  expect(await ask(server, undefined)).toEqual({ status: 200, body: "hello" });
});

test.each<readonly [string, typeof good, Tls, string]>([
  ["another authority", good, { ca: foreign.own.cert }, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
  ["no authority", good, { ca: undefined }, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
  ["an address that the certificate does not name", misnamed, {}, "ERR_TLS_CERT_ALTNAME_INVALID"],
  ["a name that the certificate does not have", good, { serverName: "other" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
  ["the right name of another host", misnamed, { serverName: "kubernetes" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
])("exchange() sends nothing where it finds %s", async (_, certificate, changes, code) => {
  using server = new TlsServer(hello, certificate);
  const error = await rejection(ask(server, changes));
  expect(errorText(error)).toContain(`Cannot talk to 127.0.0.1:${server.port}: its certificate is not accepted`);
  expect(error).toMatchObject({ cause: { code } });
  expect(server.requests).toEqual([]);
});

test("exchange() checks certificates whatever the environment says, and takes no proxy from it", async () => {
  using server = new TlsServer(hello, good);
  using wrong = new TlsServer(hello, misnamed);
  const changed = {
    NODE_TLS_REJECT_UNAUTHORIZED: "0",
    HTTPS_PROXY: "http://127.0.0.1:1",
    ALL_PROXY: "http://127.0.0.1:1",
  };
  const before = Object.keys(changed).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, changed);
  try {
    expect(await ask(server, {})).toEqual({ status: 200, body: "hello" });
    expect(errorText(await rejection(ask(wrong, {})))).toContain("its certificate is not accepted");
    expect(errorText(await rejection(ask(server, { ca: foreign.own.cert })))).toContain("not accepted");
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
  expect(wrong.requests).toEqual([]);
});

test("exchange() checks again after a connection that it was told not to check, and after a good one", async () => {
  using server = new TlsServer(hello, misnamed);
  using other = new TlsServer(hello, good);
  expect(await ask(other, {})).toEqual({ status: 200, body: "hello" });
  expect(await ask(server, { verify: false, ca: undefined })).toEqual({ status: 200, body: "hello" });
  expect(errorText(await rejection(ask(server, {})))).toContain("its certificate is not accepted");
  expect(errorText(await rejection(ask(other, { ca: foreign.own.cert })))).toContain("not accepted");
});

test("exchange() shows its own certificate, and is refused without one or with a stranger's", async () => {
  using server = new TlsServer(hello, good, ca);
  expect(await ask(server, { cert: client.cert, key: client.key })).toEqual({ status: 200, body: "hello" });
  await rejection(ask(server, {}));
  await rejection(ask(server, { cert: stranger.cert, key: stranger.key }));
  expect(server.requests).toHaveLength(1);
});

test("exchange() hands the answer on as it comes, and tells a cut from an end", async () => {
  const text = "ü".repeat(5000);
  using server = new TlsServer((_, connection) => {
    connection.write(chunkedHead);
    const bytes = new TextEncoder().encode(text);
    connection.write(chunk(bytes.subarray(0, 4001)));
    connection.write(chunk(bytes.subarray(4001)));
    connection.write("0\r\n\r\n");
  }, good);
  expect((await ask(server, {})).status).toBe(200);
  server.answer = (_, connection): void => {
    connection.write(chunkedHead);
    connection.write("5\r\nhel");
    connection.end();
  };
  expect(errorText(await rejection(ask(server, {})))).toContain("it ended within the answer");
  server.answer = (_, connection): void => connection.terminate();
  expect(errorText(await rejection(ask(server, {})))).toContain(`Cannot talk to 127.0.0.1:${server.port}`);
});

test("exchange() gives up on a server that is silent before, at the beginning of and within its answer", async () => {
  using deaf = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: (): void => undefined } });
  const short = { connectMs: 150, answerMs: 150, idleMs: 150 };
  const receiver = { head: (): void => undefined, body: (): void => undefined };
  const request = { method: "GET", path: "/", headers: {}, body: undefined } as const;
  const signal = new AbortController().signal;
  const silent = exchange({ host: "127.0.0.1", port: deaf.port, tls }, request, { receiver, limits: short, signal });
  expect(errorText(await rejection(silent))).toContain("no connection for 0.15 s");
  using server = new TlsServer(() => undefined, good);
  expect(errorText(await rejection(ask(server, {}, { limits: { answerMs: 150 } })))).toContain("no answer for 0.15 s");
  server.answer = (_, connection): void => connection.write(chunkedHead);
  expect(errorText(await rejection(ask(server, {}, { limits: { idleMs: 150 } })))).toContain("silence for 0.15 s");
});

test("exchange() ends at once when it is told to, and closes the connection", async () => {
  const abort = new AbortController();
  using server = new TlsServer((_, connection) => connection.write(chunkedHead), good);
  const asked = ask(server, {}, { signal: abort.signal });
  await waitUntil("it has asked", () => server.requests.length === 1);
  expect(server.connections).toBe(1);
  abort.abort(new Error("enough"));
  expect(await rejection(asked)).toHaveProperty("message", "enough");
  await waitUntil("the connection is closed", () => server.connections === 0);
});

test("exchange() sends a body that is larger than the connection takes at once", async () => {
  using server = new TlsServer(hello, good);
  const body = "0123456789".repeat(400_000);
  const endpoint = { host: "127.0.0.1", port: server.port, tls };
  const request = { method: "PATCH", path: "/y", headers: { "Content-Type": "text/plain" }, body } as const;
  const receiver = { head: (): void => undefined, body: (): void => undefined };
  await exchange(endpoint, request, { receiver, limits, signal: new AbortController().signal });
  expect(server.requests[0]?.method).toBe("PATCH");
  expect(server.requests[0]?.body === body).toBe(true);
});

test("exchange() names the server that nobody listens for", async () => {
  using server = new TlsServer(hello, good);
  const { port } = server;
  server[Symbol.dispose]();
  const receiver = { head: (): void => undefined, body: (): void => undefined };
  const request = { method: "GET", path: "/", headers: {}, body: undefined } as const;
  const options = { receiver, limits, signal: new AbortController().signal };
  const refused = await rejection(exchange({ host: "127.0.0.1", port, tls }, request, options));
  expect(errorText(refused)).toContain(`Cannot talk to 127.0.0.1:${port}: it cannot be reached`);
});

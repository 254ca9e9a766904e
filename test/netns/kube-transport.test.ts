/** That the connection to the API server is checked, against servers that ought not to be talked to. */
import { afterAll, expect, test } from "bun:test";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { errorText } from "../../src/base/error.ts";
import { type Endpoint, exchange, type TransportLimits } from "../../src/sources/kube/transport.ts";
import { BackgroundProcess } from "../helpers/background.ts";
import { runCommand } from "../helpers/command.ts";
import { rejection } from "../helpers/rejection.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import { bearerToken, createParties, testTls } from "../helpers/tls-checks.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import { type Answer, chunk, chunkedHead, TlsServer, wholeAnswer } from "../helpers/tls-server.ts";

const directory = await createTemporaryDirectory();
afterAll(() => directory[Symbol.asyncDispose]());
const parties = await createParties(directory);
const { good } = parties;

const limits: TransportLimits = { connectMs: 2000, answerMs: 2000, idleMs: 2000 };
const signal = new AbortController().signal;
const tls = { ca: parties.authority.own.cert, cert: undefined, key: undefined, serverName: undefined, verify: true };

interface Asked {
  readonly status: number;
  readonly body: string;
}

async function ask(
  endpoint: Endpoint,
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
  const headers = { Authorization: `Bearer ${bearerToken}` };
  const request = { method: "GET", path: "/x", headers, body: undefined } as const;
  await exchange(endpoint, request, {
    receiver,
    limits: { ...limits, ...options.limits },
    signal: options.signal ?? signal,
  });
  return asked;
}

function endpointOf(server: TlsServer): Endpoint {
  return { host: "127.0.0.1", port: server.port, tls };
}

async function askForName(endpoint: Endpoint): Promise<string> {
  const { body } = await ask(endpoint);
  return new Decoder(parseJson(body)).field("metadata").field("selfLink").string() ?? "";
}

function hello(...[, connection]: Parameters<Answer>): void {
  connection.write(wholeAnswer(200, "hello"));
  connection.end();
}

testTls({ name: "exchange()", ask: askForName }, parties);

test("exchange() trusts and obeys nothing more where the environment has it from the first moment", async () => {
  using server = new TlsServer(hello, good);
  const program = Bun.fileURLToPath(import.meta.resolve("../helpers/tls-ask-program.ts"));
  const env = {
    NODE_EXTRA_CA_CERTS: parties.authority.own.certPath,
    NODE_USE_SYSTEM_CA: "1",
    SSL_CERT_FILE: parties.authority.own.certPath,
    NODE_TLS_REJECT_UNAUTHORIZED: "0",
    HTTPS_PROXY: "http://127.0.0.1:1",
    ALL_PROXY: "http://127.0.0.1:1",
  };
  const words = [process.execPath, program, String(server.port)];
  const trusting = await runCommand([...words, parties.foreign.own.certPath], { env });
  expect(trusting.stdout).toContain("its certificate is not accepted");
  expect(server.requests).toEqual([]);
  expect((await runCommand([...words, parties.authority.own.certPath], { env })).stdout).toBe("answered\n");
});

test("exchange() talks without TLS where the URL is http", async () => {
  using server = new TlsServer(hello);
  expect(await ask({ ...endpointOf(server), tls: undefined })).toEqual({ status: 200, body: "hello" });
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
  expect((await ask(endpointOf(server))).status).toBe(200);
  server.answer = (_, connection): void => {
    connection.write(chunkedHead);
    connection.write("5\r\nhel");
    connection.end();
  };
  expect(errorText(await rejection(ask(endpointOf(server))))).toContain("it ended within the answer");
  server.answer = (_, connection): void => connection.terminate();
  expect(errorText(await rejection(ask(endpointOf(server))))).toContain(`Cannot talk to 127.0.0.1:${server.port}`);
});

test("exchange() gives up on a server that is silent before, at the beginning of and within its answer", async () => {
  using deaf = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: (): void => undefined } });
  const short = { connectMs: 150, answerMs: 150, idleMs: 150 };
  const receiver = { head: (): void => undefined, body: (): void => undefined };
  const request = { method: "GET", path: "/", headers: {}, body: undefined } as const;
  const silent = exchange({ host: "127.0.0.1", port: deaf.port, tls }, request, { receiver, limits: short, signal });
  expect(errorText(await rejection(silent))).toContain("no connection for 0.15 s");
  using server = new TlsServer(() => undefined, good);
  expect(errorText(await rejection(ask(endpointOf(server), { limits: { answerMs: 150 } })))).toContain(
    "no answer for 0.15 s",
  );
  server.answer = (_, connection): void => connection.write(chunkedHead);
  expect(errorText(await rejection(ask(endpointOf(server), { limits: { idleMs: 150 } })))).toContain(
    "silence for 0.15 s",
  );
});

test("exchange() ends at once when it is told to, and closes the connection", async () => {
  const abort = new AbortController();
  using server = new TlsServer((_, connection) => connection.write(chunkedHead), good);
  const asked = ask(endpointOf(server), { signal: abort.signal });
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
  await exchange(endpoint, request, { receiver, limits, signal });
  expect(server.requests[0]?.method).toBe("PATCH");
  expect(server.requests[0]?.body === body).toBe(true);
});

test("exchange() names the server that nobody listens for", async () => {
  using server = new TlsServer(hello, good);
  const { port } = server;
  server[Symbol.dispose]();
  const receiver = { head: (): void => undefined, body: (): void => undefined };
  const request = { method: "GET", path: "/", headers: {}, body: undefined } as const;
  const options = { receiver, limits, signal };
  const refused = await rejection(exchange({ host: "127.0.0.1", port, tls }, request, options));
  expect(errorText(refused)).toContain(`Cannot talk to 127.0.0.1:${port}: it cannot be reached`);
});

test("exchange() says that a server has too old a TLS, or none", async () => {
  const weak = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-cert", good.certPath, "-key", good.keyPath];
  await using old = new BackgroundProcess(["openssl", "s_server", "-www", "-accept", "127.0.0.1:0", ...weak]);
  await old.waitUntil("it listens", () => /ACCEPT \S+:\d+/.test(old.stdout));
  const port = Number(/ACCEPT \S+:(\d+)/.exec(old.stdout)?.[1]);
  const refused = await rejection(ask({ host: "127.0.0.1", port, tls }));
  expect(refused.message).toBe(`Cannot talk to 127.0.0.1:${port}: it has no TLS 1.2 or newer`);
  using plain = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket): void => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n") },
  });
  const mistaken = await rejection(ask({ host: "127.0.0.1", port: plain.port, tls }));
  expect(mistaken.message).toContain(": it does not speak TLS (is it http, not https?)");
});

/** That the Kubernetes library, which has its own transport no more, checks by ours whom it talks to, and tells all. */
import { afterAll, expect, test } from "bun:test";
import { PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";

import { errorText } from "../../src/base/error.ts";
import { ApiError, KubeApi } from "../../src/sources/kube/api.ts";
import { type CoreV1Api, openCoreApi } from "../../src/sources/kube/client.ts";
import { ServiceAccount } from "../../src/sources/kube/credentials.ts";
import type { Endpoint } from "../../src/sources/kube/transport.ts";
import { fixedCredentials } from "../helpers/credentials.ts";
import { rejection } from "../helpers/rejection.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import { bearerToken, createParties, endpointOf, helloAnswer, testTls } from "../helpers/tls-checks.ts";
import { type Answer, chunk, jsonAnswer, TlsServer, wholeAnswer } from "../helpers/tls-server.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const directory = await createTemporaryDirectory();
afterAll(() => directory[Symbol.asyncDispose]());
const parties = await createParties(directory);

function open(endpoint: Endpoint, basePath = "", signal = new AbortController().signal): CoreV1Api {
  const credentials = fixedCredentials(endpoint, { basePath, authorization: `Bearer ${bearerToken}` });
  return openCoreApi(new KubeApi(credentials), signal);
}

async function askForName(endpoint: Endpoint): Promise<string> {
  return (await open(endpoint).listNode()).metadata?.selfLink ?? "";
}

testTls({ name: "openCoreApi()", ask: askForName }, parties);

function openFor(server: TlsServer, signal?: AbortSignal): CoreV1Api {
  return open(endpointOf(server, parties), "", signal);
}

/** An answer in pieces, each written by itself. */
function inPieces(pieces: readonly Uint8Array[], end: (connection: Parameters<Answer>[1]) => void): Answer {
  return (_, connection) => {
    connection.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const piece of pieces) connection.write(chunk(piece));
    end(connection);
  };
}

const named = new TextEncoder().encode(JSON.stringify({ metadata: { name: `a-${"ü€😀".repeat(2000)}` } }));

test("openCoreApi() asks for what it is to, with query, path before it and token, and reads what is answered", async () => {
  using server = new TlsServer(helloAnswer, parties.good);
  const core = open(endpointOf(server, parties), "/k8s/c1");
  await core.listNode({ limit: 5, _continue: "a+b/c", labelSelector: "x in (y, z)" });
  const query = new URLSearchParams({ continue: "a+b/c", labelSelector: "x in (y, z)", limit: "5" });
  const [{ method, path, headers } = { method: "", path: "", headers: new Map<string, string>() }] = server.requests;
  const url = new URL(path, "https://a");
  expect([method, url.pathname]).toEqual(["GET", "/k8s/c1/api/v1/nodes"]);
  expect(Object.fromEntries(url.searchParams)).toEqual(Object.fromEntries(query));
  expect(headers.get("accept")).toBe("application/json, */*;q=0.8");
  expect(headers.get("user-agent")).toContain("tartan");
});

test("openCoreApi() sends patches in the form that is asked for, and creates, replaces and deletes", async () => {
  using server = new TlsServer((_, connection) => {
    connection.write(jsonAnswer(200, { metadata: { name: "a" } }));
    connection.end();
  }, parties.good);
  const core = openFor(server);
  const body = { metadata: { name: "a", annotations: { "example.com/ü": "é" } } };
  for (const form of [PatchStrategy.StrategicMergePatch, PatchStrategy.MergePatch]) {
    const node = await core.patchNodeStatus({ name: "a", body }, setHeaderOptions("Content-Type", form));
    expect(node.metadata?.name).toBe("a");
    expect(server.requests.at(-1)?.headers.get("content-type")).toBe(form);
    expect(JSON.parse(server.requests.at(-1)?.body ?? "")).toEqual(body);
  }
  await core.createNode({ body });
  await core.replaceNode({ name: "a", body });
  await core.deleteNode({ name: "a" });
  const asked = server.requests.map(({ method, path }) => `${method} ${path}`);
  expect(asked).toEqual([
    "PATCH /api/v1/nodes/a/status",
    "PATCH /api/v1/nodes/a/status",
    "POST /api/v1/nodes",
    "PUT /api/v1/nodes/a",
    "DELETE /api/v1/nodes/a",
  ]);
  await rejection(core.connectHeadNodeProxy({ name: "a" }));
  expect(server.requests).toHaveLength(5);
});

test("openCoreApi() reads characters that are cut in two, and takes no answer that is cut for a whole one", async () => {
  using server = new TlsServer(
    inPieces([named.subarray(0, 5002), named.subarray(5002, 5003), named.subarray(5003)], (connection) =>
      connection.write("0\r\n\r\n"),
    ),
    parties.good,
  );
  const core = openFor(server);
  expect((await core.readNode({ name: "a" })).metadata?.name).toBe(`a-${"ü€😀".repeat(2000)}`);
  server.answer = inPieces([named], (connection) => connection.end());
  expect(errorText(await rejection(core.readNode({ name: "a" })))).toContain("it ended within the answer");
  server.answer = inPieces([named], (connection) => connection.terminate());
  expect(errorText(await rejection(core.readNode({ name: "a" })))).toContain(`Cannot talk to 127.0.0.1:${server.port}`);
  server.answer = (_, connection): void => connection.terminate();
  expect(errorText(await rejection(core.readNode({ name: "a" })))).toContain(`Cannot talk to 127.0.0.1:${server.port}`);
});

test("openCoreApi() ends at once when it is told to, and closes the connection", async () => {
  const abort = new AbortController();
  using server = new TlsServer(
    inPieces([named], () => undefined),
    parties.good,
  );
  const asked = openFor(server, abort.signal).readNode({ name: "a" });
  await waitUntil("it has asked", () => server.requests.length === 1);
  abort.abort(new Error("enough"));
  expect((await rejection(asked)).message).toBe("enough");
  await waitUntil("the connection is closed", () => server.connections === 0);
});

test("openCoreApi() tells what the API server says, and what a proxy before it says", async () => {
  using server = new TlsServer((_, connection) => {
    connection.write(jsonAnswer(410, { kind: "Status", reason: "Expired", message: "too old", code: 410 }));
  }, parties.good);
  const core = openFor(server);
  const error = await rejection(core.listNode());
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ code: 410, reason: "Expired" });
  expect(error.message).toBe("Cannot GET /api/v1/nodes: the API server answers 410 Expired: too old");
  server.answer = (_, connection): void => connection.write(wholeAnswer(502, "<html>Bad Gateway</html>"));
  expect((await rejection(core.listNode())).message).toContain("502 <html>Bad Gateway</html>");
  server.answer = (_, connection): void => connection.write(wholeAnswer(200, "<html>Welcome</html>"));
  expect((await rejection(core.listNode())).message).toBe(
    "Cannot GET /api/v1/nodes: the server's answer is no object of the API (is it an API server?)",
  );
});

test("openCoreApi() reads a pod's files for each request, and again when the server refuses the token", async () => {
  await directory.write("account/ca.crt", parties.authority.own.cert);
  await directory.write("account/token", "old");
  using server = new TlsServer((seen, connection) => {
    const old = seen.headers.get("authorization") === "Bearer old";
    // The kubelet replaces the token just now.
    if (old) void directory.write("account/token", "new").then(() => connection.write(jsonAnswer(401, {})));
    else helloAnswer(seen, connection);
  }, parties.good);
  const account = new ServiceAccount(`https://127.0.0.1:${server.port}`, directory.join("account"));
  const core = openCoreApi(new KubeApi(account), new AbortController().signal);
  expect((await core.listNode()).metadata?.selfLink).toBe("hello");
  expect(server.requests.map(({ headers }) => headers.get("authorization"))).toEqual(["Bearer old", "Bearer new"]);
  server.answer = (_, connection): void => connection.write(jsonAnswer(401, { message: "no" }));
  expect(await rejection(core.listNode())).toMatchObject({ code: 401 });
  expect(server.requests).toHaveLength(4);
});

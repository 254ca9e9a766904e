/** How nodes are listed and watched, against a server that answers as the test says. */
import { expect, test } from "bun:test";

import { KubeApi } from "../../src/sources/kube/api.ts";
import { NodeDecoder } from "../../src/sources/kube/node-record.ts";
import { usualTiming, type WatchTiming } from "../../src/sources/kube/timing.ts";
import { NodeWatch } from "../../src/sources/kube/watch.ts";
import { fixedCredentials } from "../helpers/credentials.ts";
import { encodeEvent, encodeObject, joinParts, nodeFields, type TestNodeObject } from "../helpers/protobuf.ts";
import { chunk, chunkedHead, type SeenRequest, TlsServer, wholeAnswer } from "../helpers/tls-server.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const timing: WatchTiming = { ...usualTiming, firstRetryMs: 10, longestRetryMs: 40 };

/** What a server does for one request. */
type Step = (connection: Parameters<TlsServer["answer"]>[1], request: SeenRequest) => void;

interface Following extends Disposable {
  /** What the listener was told, in short. */
  readonly told: readonly string[];
  /** The queries that were asked. */
  readonly queries: readonly string[];
  readonly server: TlsServer;
}

/** Watches a server that answers the first request by the first step, and so on, and what comes after the last by it. */
function follow(steps: readonly Step[], changes: Partial<WatchTiming> = {}): Following {
  const told: string[] = [];
  const queries: string[] = [];
  let count = 0;
  const server = new TlsServer((request, connection) => {
    queries.push(request.path.replace("/api/v1/nodes?", "").replace("&allowWatchBookmarks=true", ""));
    steps[Math.min(count++, steps.length - 1)]?.(connection, request);
  });
  const api = new KubeApi(fixedCredentials({ host: "127.0.0.1", port: server.port, tls: undefined }));
  const stop = new AbortController();
  const listener = {
    listBegins: (): void => void told.push("begin"),
    listEnds: (): void => void told.push("end"),
    live: (): void => void told.push("live"),
    lost: (reason: string): void => void told.push(`lost: ${reason}`),
    paged: (reason: string): void => void told.push(`paged: ${reason}`),
    event: (news: { readonly kind: string; record?: { name: string }; name?: string }): void => {
      if (news.kind !== "bookmark") told.push(`${news.kind} ${news.record?.name ?? news.name ?? ""}`);
    },
  };
  const reading = { nodes: new NodeDecoder("flannel.alpha.coreos.com/"), own: "a" };
  const options = { listener, timing: { ...timing, ...changes }, signal: stop.signal };
  new NodeWatch(api, reading, options).run().catch(() => undefined);
  return {
    told,
    queries,
    server,
    [Symbol.dispose](): void {
      stop.abort(new Error("over"));
      server[Symbol.dispose]();
    },
  };
}

function event(type: string, node: TestNodeObject): Uint8Array {
  return encodeEvent(type, encodeObject("Node", nodeFields(node)));
}

function failure(code: number, reason: string): Uint8Array {
  const fields = [
    [3, "why"],
    [4, reason],
    [6, code],
  ] as const;
  return encodeEvent("ERROR", encodeObject("Status", [...fields]));
}

const initialEnd = event("BOOKMARK", {
  name: "",
  resourceVersion: "100",
  annotations: { "k8s.io/initial-events-end": "true" },
});

/** A stream that stays open behind these frames, or ends. */
function stream(frames: readonly Uint8Array[], how: "open" | "end" | "cut" | "half" = "open"): Step {
  return (connection) => {
    connection.write(chunkedHead);
    if (frames.length > 0) connection.write(chunk(joinParts(frames)));
    if (how === "end") connection.write("0\r\n\r\n");
    if (how === "cut") connection.terminate();
    // The other end of the connection goes without the last chunk.
    if (how === "half") connection.end();
  };
}

function page(names: readonly string[], version: string, next = ""): Step {
  const nodes = names.map((name) => [2, nodeFields({ name })] as const);
  const meta = [[2, version] as const, ...(next === "" ? [] : [[3, next] as const])];
  const list = encodeObject("NodeList", [[1, meta], ...nodes]);
  return (connection) => connection.write(wholeAnswer(200, list));
}

function refuse(status: number): Step {
  return (connection) => connection.write(wholeAnswer(status, "no"));
}

const listed = stream([event("ADDED", { name: "a", resourceVersion: "90" }), initialEnd]);
const listQuery = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=";

test("NodeWatch has the list as the beginning of the watch, and goes on in the same stream", async () => {
  using following = follow([
    stream([event("ADDED", { name: "a" }), initialEnd, event("MODIFIED", { name: "b", resourceVersion: "101" })]),
  ]);
  await waitUntil("all is told", () => following.told.includes("present b"));
  expect(following.told).toEqual(["begin", "present a", "end", "live", "present b"]);
  expect(following.queries).toEqual([listQuery]);
});

test.each<readonly [string, Step]>([
  ["an answer", refuse(422)],
  ["its first event", stream([failure(500, "InternalError")], "end")],
])(
  "NodeWatch takes pages where the server refuses the list as a watch by %s, and tries it again with the next list",
  async (_, no) => {
    using following = follow([
      no,
      page(["a", "b"], "50", "more/+"),
      page(["c"], "50"),
      stream([event("DELETED", { name: "b", resourceVersion: "51" }), failure(410, "Expired")], "end"),
      no,
      page(["a", "c"], "60"),
      stream([failure(410, "Expired")], "end"),
      listed,
    ]);
    await waitUntil("it lists for the third time", () => following.queries.length === 8);
    expect(following.queries).toEqual([
      listQuery,
      "limit=500",
      "limit=500&continue=more%2F%2B",
      "watch=1&resourceVersion=50",
      listQuery,
      "limit=500",
      "watch=1&resourceVersion=60",
      listQuery,
    ]);
    await waitUntil(
      "the list is there",
      () => following.told.at(-1) === "live" && following.told.includes("present a"),
    );
    expect(following.told.filter((line) => line.startsWith("paged: "))).toHaveLength(2);
    expect(following.told.filter((line) => line !== "begin" && !line.startsWith("paged: "))).toEqual([
      "present a",
      "present b",
      "present c",
      "end",
      "live",
      "deleted b",
      "present a",
      "present c",
      "end",
      "live",
      "present a",
      "end",
      "live",
    ]);
  },
);

test("NodeWatch lists anew when a page's continuation has expired", async () => {
  using following = follow([refuse(422), page(["a"], "50", "token"), refuse(410), page(["a"], "55"), stream([])]);
  await waitUntil("it watches", () => following.queries.at(-1) === "watch=1&resourceVersion=55");
  expect(following.told.some((line) => line.startsWith("lost"))).toBe(false);
});

test("NodeWatch lists anew, from the first page on, when a page fails", async () => {
  using following = follow([refuse(422), page(["a"], "50", "more"), refuse(503), page(["a", "b"], "55"), stream([])]);
  await waitUntil("it watches", () => following.told.includes("live"));
  expect(following.queries.slice(1)).toEqual([
    "limit=500",
    "limit=500&continue=more",
    "limit=500",
    "watch=1&resourceVersion=55",
  ]);
  const told = following.told.filter((line) => !/^(?:lost|paged): /.test(line));
  expect(told).toEqual(["begin", "present a", "begin", "present a", "present b", "end", "live"]);
});

test("NodeWatch goes on behind the last bookmark after a clean end and after a cut", async () => {
  const bookmark = event("BOOKMARK", { name: "", resourceVersion: "200" });
  using following = follow([
    stream([event("ADDED", { name: "a" }), initialEnd, bookmark], "end"),
    stream([event("MODIFIED", { name: "a", resourceVersion: "201" })], "half"),
    page(["a"], "250"),
    stream([]),
  ]);
  await waitUntil("it watches again", () => following.queries.length === 4);
  // After a failure it asks first whether the server is not behind.
  expect(following.queries.slice(1)).toEqual(["watch=1&resourceVersion=200", "limit=1", "watch=1&resourceVersion=201"]);
});

test("NodeWatch lists anew, and so finds what was deleted, when the version is too old", async () => {
  using following = follow([
    stream([event("ADDED", { name: "a" }), event("ADDED", { name: "b" }), initialEnd, failure(410, "Expired")], "end"),
    listed,
  ]);
  await waitUntil("it has listed twice", () => following.told.filter((line) => line === "live").length === 2);
  expect(following.queries).toEqual([listQuery, listQuery]);
  expect(following.told.slice(-4)).toEqual(["begin", "present a", "end", "live"]);
  expect(following.told.some((line) => line.startsWith("lost"))).toBe(false);
});

test("NodeWatch does not wait long to list anew, however long the server was away before", async () => {
  using following = follow(
    [
      stream([event("ADDED", { name: "a" }), initialEnd], "cut"),
      ...Array.from({ length: 5 }, () => refuse(503)),
      page(["a"], "500"),
      stream([failure(410, "Expired")], "end"),
      listed,
    ],
    { firstRetryMs: 20, longestRetryMs: 10_000 },
  );
  await waitUntil("the place has expired", () => following.queries.length === 8);
  const began = performance.now();
  await waitUntil("it has listed twice", () => following.queries.length === 9);
  // After the failures alone it would be 640 ms at least.
  expect(performance.now() - began).toBeLessThan(300);
});

test("NodeWatch lists anew when the server came back with an older store", async () => {
  using following = follow([
    stream([event("ADDED", { name: "a" }), initialEnd], "cut"),
    refuse(503),
    page(["a"], "7"),
    stream([event("ADDED", { name: "z" }), initialEnd]),
  ]);
  await waitUntil("it has listed twice", () => following.told.includes("present z"));
  expect(following.queries.at(-1)).toBe(listQuery);
});

test("NodeWatch lists anew when a watch was silent for longer than bookmarks are apart", async () => {
  const watch = { connectMs: 1000, answerMs: 1000, idleMs: 200 };
  using following = follow([stream([event("ADDED", { name: "a" }), initialEnd], "end"), stream([]), listed], { watch });
  await waitUntil("it has listed twice", () => following.queries.filter((query) => query === listQuery).length === 2);
  expect(following.told.find((line) => line.startsWith("lost"))).toContain("silence for 0.2 s");
});

test("NodeWatch gives a list up that does not go on, and takes pages after the second time", async () => {
  const begun = stream([event("ADDED", { name: "a" })]);
  const expired = stream([failure(410, "Expired")], "end");
  using following = follow([begun, begun, page(["a"], "9"), expired, listed], { listIdleMs: 60 });
  await waitUntil("it has listed again", () => following.queries.length === 5);
  expect(following.queries.slice(0, 4)).toEqual([listQuery, listQuery, "limit=500", "watch=1&resourceVersion=9"]);
  // With the next list it tries again; this one said why it came in pages.
  expect(following.queries[4]).toBe(listQuery);
  const paged = following.told.filter((line) => line.startsWith("paged: "));
  expect(paged).toHaveLength(1);
  expect(paged[0]).toContain("silence for 0.06 s");
});

test("NodeWatch waits longer after each failure, and not as long as any other node", async () => {
  using following = follow([refuse(503)], { firstRetryMs: 20, longestRetryMs: 10_000 });
  await Bun.sleep(400);
  // 10 to 20 ms, then 20 to 40, 40 to 80, 80 to 160, 160 to 320.
  expect(following.queries.length).toBeGreaterThan(3);
  expect(following.queries.length).toBeLessThan(8);
  expect(following.told.every((line) => line.startsWith("lost: Cannot watch nodes: the API server answers 503"))).toBe(
    true,
  );
});

test("NodeWatch takes a stream of anything else for a failure, and tries again", async () => {
  const text = new TextEncoder().encode('{"kind":"Status"}');
  using following = follow([
    (connection): void => {
      connection.write(chunkedHead);
      connection.write(chunk(text));
    },
    listed,
  ]);
  await waitUntil("it is live", () => following.told.includes("live"));
  expect(following.told.find((line) => line.startsWith("lost"))).toContain("Cannot read the watch");
});

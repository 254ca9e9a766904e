/** How a node learns its name from its pod, against a server that does not tell it. */
import { expect, test } from "bun:test";

import { KubeApi } from "../../src/sources/kube/api.ts";
import { followNodes } from "../../src/sources/kube/feed.ts";
import { NodeDecoder } from "../../src/sources/kube/node-record.ts";
import { usualTiming } from "../../src/sources/kube/timing.ts";
import { fixedCredentials } from "../helpers/credentials.ts";
import { rejection } from "../helpers/rejection.ts";
import { TlsServer, wholeAnswer } from "../helpers/tls-server.ts";
import { waitUntil } from "../helpers/wait-until.ts";

test("followNodes() asks for its pod again, at times that differ from node to node, and ends with the signal", async () => {
  const times: number[] = [];
  using server = new TlsServer((_, connection) => {
    times.push(performance.now());
    connection.write(wholeAnswer(403, "forbidden"));
  });
  const api = new KubeApi(fixedCredentials({ host: "127.0.0.1", port: server.port, tls: undefined }));
  const stop = new AbortController();
  const lost: string[] = [];
  const listener = {
    named: (): void => undefined,
    listBegins: (): void => undefined,
    listEnds: (): void => undefined,
    event: (): void => undefined,
    live: (): void => undefined,
    lost: (reason: string): void => void lost.push(reason),
    paged: (): void => undefined,
  };
  const identity = { kind: "pod", namespace: "kube-flannel", name: "p" } as const;
  const timing = { ...usualTiming, firstRetryMs: 100, longestRetryMs: 100 };
  const nodes = new NodeDecoder("flannel.alpha.coreos.com/");
  const followed = rejection(followNodes({ api, nodes, identity, timing, signal: stop.signal }, listener));
  await waitUntil("it has asked often", () => times.length >= 12);
  const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  // Half of the 100 ms is drawn: some wait is well below the whole of it.
  expect(Math.min(...waits)).toBeGreaterThan(45);
  expect(Math.min(...waits)).toBeLessThan(95);
  expect(lost[0]).toStartWith("error retrieving pod spec for 'kube-flannel/p'");
  stop.abort(new Error("over"));
  expect(await followed).toHaveProperty("message", "over");
});

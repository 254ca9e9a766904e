import { expect, test } from "bun:test";
import type { Change } from "../../../src/backend/change.ts";
import type { Outcome } from "../../../src/backend/reconcile.ts";
import {
  describeFailures,
  describeOutcome,
  describePeers,
  describeSkipped,
  type LogLine,
} from "../../../src/daemon/report.ts";
import { overlayOf, peerLease } from "../backend/fixtures.ts";

function texts(lines: readonly LogLine[]): readonly string[] {
  return lines.map(({ level, text }) => `${level} ${text}`);
}

function change(problem: string, changes: Partial<Change> = {}): Change {
  return { problem, peer: undefined, removal: false, requests: [], ...changes };
}

function outcome(changes: Partial<Outcome>): Outcome {
  return { done: [], failed: [], deviceReady: true, deviceIndex: 7, ...changes };
}

const two = overlayOf(peerLease(2), peerLease(3));
const routeMissing = change("route 10.244.2.0/24 missing", { peer: "10.244.2.0/24" });

test("describePeers() has a line for each peer that came, changed or went", () => {
  expect(texts(describePeers(undefined, overlayOf(peerLease(2))))).toEqual([
    "info peer 10.244.2.0/24 added: public IP 192.168.1.2, VTEP MAC 02:00:00:00:00:02",
  ]);
  expect(texts(describePeers(two, overlayOf(peerLease(3, 9), peerLease(4))))).toEqual([
    "info peer 10.244.4.0/24 added: public IP 192.168.1.4, VTEP MAC 02:00:00:00:00:04",
    "info peer 10.244.3.0/24 changed: public IP 192.168.1.3, VTEP MAC 02:00:00:00:00:09",
    "info peer 10.244.2.0/24 removed",
  ]);
  expect(describePeers(two, two)).toEqual([]);
});

test("describePeers() has one line for many peers", () => {
  const peers = Array.from({ length: 100 }, (_, index) => peerLease(index + 2));
  const [line, ...more] = texts(describePeers(undefined, overlayOf(...peers)));
  expect(more).toEqual([]);
  expect(line).toMatch(/^info 100 peers: peer 10\.244\.10\.0\/24 added: .*; and 97 more$/);
});

test("describeSkipped() tells each lease once, and again with another reason", () => {
  const known = [{ key: "a", reason: "one" }];
  expect(texts(describeSkipped([], known))).toEqual(["warn lease a skipped: one"]);
  expect(describeSkipped(known, known)).toEqual([]);
  expect(texts(describeSkipped(known, [{ key: "a", reason: "two" }]))).toEqual(["warn lease a skipped: two"]);
});

test("describeOutcome() tells at the start what was made and removed, and leaves the peers to their own lines", () => {
  const done = [
    change("device flannel.1 missing"),
    routeMissing,
    change("route 10.244.9.0/24 stale", { removal: true }),
  ];
  expect(texts(describeOutcome(undefined, two, outcome({ done })))).toEqual([
    "info device flannel.1 missing: set up",
    "info route 10.244.9.0/24 stale: removed",
  ]);
});

test("describeOutcome() calls it a repair when nothing else was wanted before", () => {
  expect(texts(describeOutcome(two, two, outcome({ done: [routeMissing] })))).toEqual([
    "warn route 10.244.2.0/24 missing: repaired",
  ]);
});

test("describeOutcome() says nothing of the entries of peers that came, changed or went", () => {
  const before = overlayOf(peerLease(3));
  expect(describeOutcome(before, two, outcome({ done: [routeMissing] }))).toEqual([]);
  const removal = change("route 10.244.2.0/24", { removal: true });
  expect(describeOutcome(two, before, outcome({ done: [removal] }))).toEqual([]);
});

test("describeOutcome() tells a refusal when it is news", () => {
  const failed = [
    { change: routeMissing, reason: "network is down", fresh: true },
    { change: change("address missing"), reason: "no memory", fresh: false },
  ];
  expect(texts(describeOutcome(two, two, outcome({ failed })))).toEqual([
    "error route 10.244.2.0/24 missing: network is down",
  ]);
});

test("describeFailures() has a line for each failure, but not for thousands", () => {
  const failed = Array.from({ length: 30 }, (_, index) => ({
    change: change(`route ${index}`),
    reason: "no",
    fresh: false,
  }));
  expect(describeFailures(failed.slice(0, 2))).toEqual(["route 0: no", "route 1: no"]);
  expect(describeFailures(failed)).toHaveLength(21);
  expect(describeFailures(failed).at(-1)).toBe("and 10 more");
});

import { expect, test } from "bun:test";

import { decodeStatus, openEnvelope } from "../../../../src/sources/kube/envelope.ts";
import { FrameSplitter } from "../../../../src/sources/kube/frames.ts";
import { NodeDecoder } from "../../../../src/sources/kube/node-record.ts";
import { FieldWalker, ProtobufError } from "../../../../src/sources/kube/protobuf.ts";
import { decodeNodeEvent, decodeNodePage, type NodeEvent } from "../../../../src/sources/kube/watch-event.ts";
import { Random } from "../../../fuzz/random.ts";
import { encodeEvent, encodeMessage, encodeObject, joinParts, nodeFields } from "../../../helpers/protobuf.ts";

/** Other bytes each time; what fails says its seed, by which it can be repeated. */
const seed = Number(process.env["TARTAN_FUZZ_SEED"] ?? Date.now() % 1_000_000_007);

const prefix = "flannel.alpha.coreos.com/";
const reading = { nodes: new NodeDecoder(prefix), own: "a" };

const first = {
  name: "a",
  resourceVersion: "17",
  podCidrs: ["10.244.1.0/24", "fd00::/64"],
  annotations: { [`${prefix}backend-type`]: "vxlan", [`${prefix}other`]: "x", "example.com/public-ip": "1.1.1.1" },
  condition: ["False", "FlannelIsUp"],
} as const;

/** Real frames among which every kind of event is. */
const stream = joinParts([
  encodeEvent("ADDED", encodeObject("Node", nodeFields(first))),
  encodeEvent(
    "MODIFIED",
    encodeObject("Node", nodeFields({ name: "b", annotations: { [`${prefix}public-ip`]: "ü" } })),
  ),
  encodeEvent("DELETED", encodeObject("Node", nodeFields({ name: "b", resourceVersion: "19" }))),
  encodeEvent(
    "BOOKMARK",
    encodeObject(
      "Node",
      nodeFields({ name: "", resourceVersion: "20", annotations: { "k8s.io/initial-events-end": "true" } }),
    ),
  ),
  encodeEvent("BOOKMARK", encodeObject("Node", nodeFields({ name: "", resourceVersion: "21" }))),
  encodeEvent(
    "ERROR",
    encodeObject("Status", [
      [2, "Failure"],
      [3, "too old resource version: 2 (10218)"],
      [4, "Expired"],
      [6, 410],
    ]),
  ),
]);

function eventsOf(chunks: readonly Uint8Array[]): readonly NodeEvent[] {
  const events: NodeEvent[] = [];
  const splitter = new FrameSplitter((bytes, start, end) => {
    events.push(decodeNodeEvent(bytes, { start, end }, reading));
  });
  for (const chunk of chunks) splitter.push(chunk);
  return events;
}

const expected: readonly NodeEvent[] = [
  {
    kind: "present",
    record: {
      name: "a",
      resourceVersion: "17",
      podCidrs: ["10.244.1.0/24", "fd00::/64"],
      annotations: new Map([["backend-type", "vxlan"]]),
      initialEnd: false,
    },
    condition: { status: "False", reason: "FlannelIsUp" },
  },
  {
    kind: "present",
    record: {
      name: "b",
      resourceVersion: "1",
      podCidrs: [],
      annotations: new Map([["public-ip", "ü"]]),
      initialEnd: false,
    },
    condition: undefined,
  },
  { kind: "deleted", name: "b", resourceVersion: "19" },
  { kind: "bookmark", resourceVersion: "20", initialEnd: true },
  { kind: "bookmark", resourceVersion: "21", initialEnd: false },
  { kind: "error", status: { code: 410, reason: "Expired", message: "too old resource version: 2 (10218)" } },
];

test("decodeNodeEvent() reads every kind of event, however the stream is cut", () => {
  expect(eventsOf([stream])).toEqual([...expected]);
  for (const size of [1, 2, 3, 5, 7, 64, 100, 331]) {
    const chunks: Uint8Array[] = [];
    // Copied, and overwritten by the next one, as a transport may do.
    for (let offset = 0; offset < stream.length; offset += size) chunks.push(stream.slice(offset, offset + size));
    expect(eventsOf(chunks)).toEqual([...expected]);
  }
  const random = new Random(seed);
  for (let round = 0; round < 200; round++) {
    const cuts = Array.from({ length: 4 }, () => random.below(stream.length)).toSorted((a, b) => a - b);
    const chunks = [0, ...cuts].map((start, index) => stream.slice(start, cuts[index] ?? stream.length));
    expect({ seed, round, events: eventsOf(chunks) }).toEqual({ seed, round, events: [...expected] });
  }
});

test("decodeNodePage() reads a list's nodes, its version and where it goes on", () => {
  const bytes = encodeObject("NodeList", [
    [
      1,
      [
        [2, "99"],
        [3, "token"],
        [4, 7],
      ],
    ],
    [2, nodeFields(first)],
    [2, nodeFields({ name: "b", podCidrs: ["10.244.2.0/24"] })],
  ]);
  const page = decodeNodePage(bytes, reading);
  expect(page.resourceVersion).toBe("99");
  expect(page.next).toBe("token");
  expect(page.records.map(({ record }) => [record.name, ...record.podCidrs])).toEqual([
    ["a", "10.244.1.0/24", "fd00::/64"],
    ["b", "10.244.2.0/24"],
  ]);
  expect(page.records.map(({ condition }) => condition?.reason)).toEqual(["FlannelIsUp", undefined]);
});

test("NodeDecoder takes podCIDR of an object that has no podCIDRs, and an object that has nothing", () => {
  const { object } = openEnvelope(encodeObject("Node", [[2, [[1, "10.244.9.0/24"]]]]));
  expect(reading.nodes.decode(object).podCidrs).toEqual(["10.244.9.0/24"]);
  const empty = openEnvelope(encodeObject("Node", []));
  expect(reading.nodes.decode(empty.object)).toMatchObject({ name: "", podCidrs: [] });
});

test("FieldWalker reads numbers of up to ten bytes and skips fields of fixed length", () => {
  const bytes = joinParts([
    Uint8Array.from([8, 0x80, 0x80, 0x80, 0x80, 0x10]),
    Uint8Array.from([17, 1, 2, 3, 4, 5, 6, 7, 8]),
    Uint8Array.from([29, 1, 2, 3, 4]),
    encodeMessage([[600, "text"]]),
  ]);
  const walker = new FieldWalker(bytes);
  expect([walker.next(), walker.number, walker.value]).toEqual([true, 1, 2 ** 32]);
  expect([walker.next(), walker.number]).toEqual([true, 2]);
  expect([walker.next(), walker.number]).toEqual([true, 3]);
  expect([walker.next(), walker.number, walker.text()]).toEqual([true, 600, "text"]);
  expect(walker.next()).toBe(false);
});

test.each([
  ["a number that does not end", Uint8Array.from([8, 0x80])],
  ["a number of eleven bytes", Uint8Array.from([8, ...Array.from({ length: 10 }, () => 0xff), 1])],
  ["a field beyond the end", Uint8Array.from([10, 5, 1, 2])],
  ["a length beyond anything", Uint8Array.from([10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])],
  ["a group", Uint8Array.from([11])],
  ["a fixed field that is cut", Uint8Array.from([17, 1, 2, 3])],
])("FieldWalker refuses %s", (_, bytes) => {
  const walker = new FieldWalker(bytes);
  expect(() => {
    while (walker.next());
  }).toThrow(ProtobufError);
});

test("openEnvelope() refuses what does not begin as an object of the API", () => {
  expect(() => openEnvelope(new TextEncoder().encode('{"kind":"Node"}'))).toThrow(ProtobufError);
  expect(() => openEnvelope(new Uint8Array(2))).toThrow(ProtobufError);
});

test("FrameSplitter refuses a length that no object has", () => {
  expect(() => new FrameSplitter(() => undefined).push(Uint8Array.from([0x7b, 0x22, 0x6b, 0x69]))).toThrow(
    ProtobufError,
  );
});

/** Changes, removes or repeats some bytes. */
function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  const changed = bytes.slice();
  const count = 1 + random.below(8);
  for (let index = 0; index < count; index++) changed[random.below(changed.length)] = random.below(256);
  const start = random.below(changed.length);
  switch (random.below(4)) {
    case 0:
      return changed.slice(start);
    case 1:
      return changed.slice(0, start);
    case 2:
      return joinParts([changed, changed.slice(start)]);
    default:
      return changed;
  }
}

test("no bytes make the readers hang or throw anything but a ProtobufError", () => {
  const whole = encodeObject("NodeList", [
    [1, [[2, "1"]]],
    [2, nodeFields(first)],
  ]);
  const began = performance.now();
  const random = new Random(seed);
  for (let round = 0; round < 20_000; round++) {
    const any = Uint8Array.from({ length: random.below(200) }, () => random.below(256));
    const attempts: readonly (() => unknown)[] = [
      (): unknown => eventsOf([mutate(stream, random)]),
      (): unknown => eventsOf([any]),
      (): unknown => decodeNodePage(mutate(whole, random), reading),
      (): unknown => decodeStatus(openEnvelope(joinParts([new TextEncoder().encode("k8s\0"), any])).object),
    ];
    try {
      attempts[round % attempts.length]?.();
    } catch (error) {
      if (!(error instanceof ProtobufError))
        throw new Error(`TARTAN_FUZZ_SEED=${seed}, round ${round}`, { cause: error });
    }
  }
  expect({ seed, inTime: performance.now() - began < 20_000 }).toEqual({ seed, inTime: true });
});

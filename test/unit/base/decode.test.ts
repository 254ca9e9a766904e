import { expect, test } from "bun:test";

import { DecodeError, Decoder, isJsonObject, parseJson } from "../../../src/base/decode.ts";
import { errorText } from "../../../src/base/error.ts";

function decode(text: string): Decoder {
  return new Decoder(parseJson(text));
}

/** The message of what `work` throws; the test fails when it throws nothing or something else. */
function problem(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
    return errorText(error);
  }
  throw new Error("Cannot see a DecodeError: nothing was thrown");
}

/** Go's encoding/json reads each of these texts into `struct { MTU int }` and gets the number shown. */
const likeGo: readonly (readonly [text: string, mtu: number | undefined])[] = [
  ['{"MTU":1450}', 1450],
  ['{"mtu":1450}', 1450],
  ['{"mTu":1450}', 1450],
  ["{}", undefined],
  ['{"MTU":null}', undefined],
  ['{"MTU":1,"MTU":2}', 2],
  ['{"MTU":1,"mtu":2}', 2],
  ['{"mtu":1,"MTU":2}', 2],
  ['{"mtu":5,"MTU":null}', 5],
  ['{"MTU ":1}', undefined],
];

test.each(likeGo)("Decoder.field() reads MTU from %s as Go does", (text, mtu) => {
  expect(decode(text).field("MTU").integer()).toBe(mtu);
});

test("Decoder.field() takes the last of several in any case, whichever is spelled as asked", () => {
  expect(decode('{"MTU":1,"mtu":2}').field("mtu").integer()).toBe(2);
  expect(decode('{"mtu":1,"MTU":2}').field("mtu").integer()).toBe(2);
  expect(decode('{"Mtu":1,"mTU":2}').field("mtu").integer()).toBe(2);
});

test("Decoder.field() sees the document's own members only", () => {
  expect(["constructor", "toString", "__proto__"].map((key) => decode("{}").field(key).absent)).toEqual([
    true,
    true,
    true,
  ]);
  expect(decode('{"__proto__":{"mtu":1}}').field("mtu").absent).toBe(true);
});

test("Decoder.field() builds the path that errors name", () => {
  const document = decode('{"Backend":{"peers":[{"vni":1},{"vni":"one"}]}}');
  const peers = document.field("backend").field("peers").list();
  expect(peers.map((peer) => peer.path)).toEqual(["backend.peers[0]", "backend.peers[1]"]);
  expect(problem(() => peers[1]?.field("VNI").integer())).toBe(
    'Cannot read "backend.peers[1].VNI": it must be a whole number, and is the string "one"',
  );
});

test("Decoder.field() of what is absent is absent, of what is no object an error", () => {
  expect(decode("{}").field("a").field("b").field("c").string()).toBeUndefined();
  expect(decode('{"a":null}').field("a").field("b").absent).toBe(true);
  expect(problem(() => decode('{"a":"text"}').field("a").field("b"))).toBe(
    'Cannot read "a": it must be an object, and is the string "text"',
  );
  expect(problem(() => decode('["a"]').field("b"))).toBe(
    "Cannot read the document: it must be an object, and is a list",
  );
});

const values: readonly (readonly [kind: string, read: (decoder: Decoder) => unknown, good: string, result: unknown])[] =
  [
    ["object", (decoder) => decoder.object(), '{"a":1}', { a: 1 }],
    ["string", (decoder) => decoder.string(), '"\\u0041é"', "Aé"],
    ["boolean", (decoder) => decoder.boolean(), "false", false],
    ["integer", (decoder) => decoder.integer(), "-7", -7],
    ["list", (decoder) => decoder.list().map((item) => item.value), "[1,null,[]]", [1, null, []]],
  ];

test.each(values)("Decoder.%s() returns the value and leaves null to the default", (kind, read, good, result) => {
  expect(read(decode(good))).toEqual(result);
  const nothing = kind === "list" ? [] : undefined;
  expect(read(decode("null"))).toEqual(nothing);
  expect(read(new Decoder(undefined))).toEqual(nothing);
});

test.each(values)("Decoder.%s() refuses every other type", (kind, read, good) => {
  const others = values.filter(([name]) => name !== kind).map(([, , text]) => text);
  expect(others).toHaveLength(4);
  for (const text of others) expect(problem(() => read(decode(text)))).toStartWith("Cannot read the document: it must");
  expect(() => read(decode(good))).not.toThrow();
});

test("Decoder.integer() refuses fractions and what lies outside its range, and says which", () => {
  const field = decode('{"port":65536,"mtu":1450.5,"big":9007199254740993,"huge":1e400}');
  expect(problem(() => field.field("port").integer(0, 65_535))).toBe(
    'Cannot read "port": 65536 is not between 0 and 65535',
  );
  expect(problem(() => field.field("mtu").integer())).toContain("it must be a whole number, and is the number 1450.5");
  expect(problem(() => field.field("big").integer())).toContain("is not between");
  expect(problem(() => field.field("huge").integer())).toContain("it must be a whole number");
  expect(field.field("port").integer(65_536, 65_536)).toBe(65_536);
});

/** JavaScript cannot tell these from whole numbers any more; Go refuses them for an int. */
test("Decoder.integer() takes whole numbers that are written as fractions, unlike Go", () => {
  expect(decode('{"MTU":1450.0,"Port":1e3}').field("MTU").integer()).toBe(1450);
  expect(decode('{"MTU":1450.0,"Port":1e3}').field("Port").integer()).toBe(1000);
});

const broken: readonly string[] = [
  "",
  " ",
  "{",
  '{"a":1,}',
  "{a:1}",
  "'a'",
  "01",
  "[1] [2]",
  "NaN",
  "\u{FEFF}{}",
  "\0",
];

test.each(broken)("parseJson() refuses %j and keeps the parser's reason", (text) => {
  const message = problem(() => parseJson(text));
  expect(message).toStartWith("Cannot read the document: it is not JSON: ");
});

test("parseJson() reads every kind of value", () => {
  expect(parseJson(' {"a":[true,null,-1.5e2,"\\ud83d\\ude00"]}\r\n\t')).toEqual({ a: [true, null, -150, "😀"] });
});

test("isJsonObject() is true for objects alone", () => {
  expect([{}, [], null, "a", undefined].map(isJsonObject)).toEqual([true, false, false, false, false]);
});

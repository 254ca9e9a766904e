import { expect, test } from "bun:test";

import { encodeEchoRequest, findEchoReply, internetChecksum } from "../../../src/sys/icmp.ts";

/** A request that ping sent, captured by tcpdump: id 278, sequence 0, 56 bytes that count up. */
const payload = Uint8Array.from({ length: 56 }, (_, index) => index);
const request = `0800ffd601160000${payload.toHex()}`;

/** The answer to it with its IPv4 header: ttl 63, from 10.244.2.2. */
const reply = `4500005459bb00003f0109030af402020af40102000007d701160000${payload.toHex()}`;

test("encodeEchoRequest() makes the bytes that ping sends", () => {
  expect(encodeEchoRequest(278, 0, payload).toHex()).toBe(request);
});

test("encodeEchoRequest() makes a right checksum also of an odd number of bytes", () => {
  expect(internetChecksum(encodeEchoRequest(0xffff, 0xffff, Uint8Array.of(0xff, 0xff, 0xff)))).toBe(0);
});

test("internetChecksum() is that of the example in RFC 1071", () => {
  // Section 3: the sum of these words is ddf2, and the checksum its complement.
  expect(internetChecksum(Uint8Array.fromHex("0001f203f4f5f6f7"))).toBe(0x220d);
});

test("findEchoReply() reads what a raw socket gives", () => {
  expect(findEchoReply(Uint8Array.fromHex(reply))).toEqual({
    source: Uint8Array.of(10, 244, 2, 2),
    ttl: 63,
    id: 278,
    sequence: 0,
    payload,
    length: 64,
  });
});

test("findEchoReply() passes over a changed byte, a request, and what is cut off", () => {
  const changed = `${reply.slice(0, -2)}ff`;
  expect(findEchoReply(Uint8Array.fromHex(changed))).toBeUndefined();
  expect(findEchoReply(Uint8Array.fromHex(reply.slice(0, 40) + request))).toBeUndefined();
  for (let length = 0; length < 2 * 28; length += 2) {
    expect(findEchoReply(Uint8Array.fromHex(reply.slice(0, length)))).toBeUndefined();
  }
});

import { expect, test } from "bun:test";

import { parseIp } from "../../../src/addr/ip.ts";
import { pingLines } from "../../../src/operator/demo/ping.ts";

const target = parseIp("10.244.2.2");

test("pingLines() says what came back", () => {
  const reply = { source: target.bytes, ttl: 62, sequence: 0, length: 64, milliseconds: 0.4424 };
  expect(pingLines(target, reply)).toEqual([
    "PING 10.244.2.2 (10.244.2.2): 56 data bytes",
    "64 bytes from 10.244.2.2: seq=0 ttl=62 time=0.442 ms",
    "",
    "--- 10.244.2.2 ping statistics ---",
    "1 packets transmitted, 1 packets received, 0% packet loss",
    "round-trip min/avg/max = 0.442/0.442/0.442 ms",
  ]);
});

test("pingLines() says that nothing came back", () => {
  expect(pingLines(target, undefined)).toEqual([
    "PING 10.244.2.2 (10.244.2.2): 56 data bytes",
    "",
    "--- 10.244.2.2 ping statistics ---",
    "1 packets transmitted, 0 packets received, 100% packet loss",
  ]);
});

import { expect, test } from "bun:test";

import { findPacketLines } from "../../../src/operator/demo/packet-text.ts";

const seconds = 1_795_478_604;

/** The local time of day, as tcpdump prints it. */
const time = new Date(seconds * 1000).toTimeString().slice(0, 8);

/**
 * A ping from 10.244.1.2 to 10.244.2.2 as a node's own interface carried it between two kernels of version 6.18, and the
 * answer. The texts below are what tcpdump 4.99.3 prints for them: tcpdump -n -v -T vxlan -r FILE
 */
const echoData =
  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";
const request =
  "429017aa57c942431c2c646d080045000086ee7c00004011113bc0a87c82c0a87cdca47b211800727b3308000000000001000200000000020200" +
  `0000000108004500 00543b2f40003f01e78e0af401020af402020800ffd601160000${echoData}`;
const reply =
  "42431c2c646d429017aa57c9080045000086a593000040115a24c0a87cdcc0a87c82a47b211800727b3308000000000001000200000000010200" +
  `000000020800 4500005459bb00003f0109030af402020af40102000007d701160000${echoData}`;

function frame(hex: string): { seconds: number; nanoseconds: number; bytes: Uint8Array } {
  return { seconds, nanoseconds: 723_097_181, bytes: Uint8Array.fromHex(hex.replaceAll(" ", "")) };
}

/** Ethernet, outer IPv4, UDP and VXLAN headers, each character half a byte. */
const outerHeaders = 2 * (14 + 20 + 8 + 8);

test("findPacketLines() unwraps VXLAN as tcpdump does", () => {
  expect(findPacketLines(frame(request))).toEqual([
    `${time}.723097 IP (tos 0x0, ttl 64, id 61052, offset 0, flags [none], proto UDP (17), length 134)`,
    "    192.168.124.130.42107 > 192.168.124.220.8472: VXLAN, flags [I] (0x08), vni 1",
    "IP (tos 0x0, ttl 63, id 15151, offset 0, flags [DF], proto ICMP (1), length 84)",
    "    10.244.1.2 > 10.244.2.2: ICMP echo request, id 278, seq 0, length 64",
  ]);
  expect(findPacketLines(frame(reply))).toEqual([
    `${time}.723097 IP (tos 0x0, ttl 64, id 42387, offset 0, flags [none], proto UDP (17), length 134)`,
    "    192.168.124.220.42107 > 192.168.124.130.8472: VXLAN, flags [I] (0x08), vni 1",
    "IP (tos 0x0, ttl 63, id 22971, offset 0, flags [none], proto ICMP (1), length 84)",
    "    10.244.2.2 > 10.244.1.2: ICMP echo reply, id 278, seq 0, length 64",
  ]);
});

test("findPacketLines() prints a ping that is in no tunnel", () => {
  expect(findPacketLines(frame(request.replaceAll(" ", "").slice(outerHeaders)))).toEqual([
    `${time}.723097 IP (tos 0x0, ttl 63, id 15151, offset 0, flags [DF], proto ICMP (1), length 84)`,
    "    10.244.1.2 > 10.244.2.2: ICMP echo request, id 278, seq 0, length 64",
  ]);
});

test("findPacketLines() passes over what is no ping", () => {
  const arp = "ffffffffffff42431c2c646d08060001080006040001" + "00".repeat(20);
  expect(findPacketLines(frame(arp))).toBeUndefined();
  const unreachable = request.replaceAll(" ", "").slice(outerHeaders).replace("0800ffd6", "0301ffd6");
  expect(findPacketLines(frame(unreachable))).toBeUndefined();
  const otherPort = request.replace("a47b2118", "a47b12b5");
  expect(findPacketLines(frame(otherPort))).toBeUndefined();
});

test("findPacketLines() passes over a frame that is cut off, wherever", () => {
  const hex = request.replaceAll(" ", "");
  // The echo's payload is not looked at: up to its header every byte counts.
  for (let length = 0; length < outerHeaders + 2 * (14 + 20 + 8); length += 2) {
    expect(findPacketLines(frame(hex.slice(0, length)))).toBeUndefined();
  }
});

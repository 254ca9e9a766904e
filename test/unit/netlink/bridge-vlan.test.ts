import { expect, test } from "bun:test";

import { ByteWriter } from "../../../src/base/bytes.ts";
import { putBytes, putNested, putString } from "../../../src/netlink/attribute.ts";
import { addPortVlans, decodePortVlans, deletePortVlans } from "../../../src/netlink/bridge-vlan.ts";
import type { Request } from "../../../src/netlink/message.ts";
import { bytesToHex } from "../../helpers/bytes.ts";
import { captured, capturedReplies, capturedRequest, encodeLike } from "./capture.ts";

const { veth1 } = captured;

const cases: readonly (readonly [command: string, request: Request])[] = [
  ["bridge vlan add dev veth1 vid 100 pvid untagged", addPortVlans(veth1, [{ id: 100, native: true }])],
  ["bridge vlan add dev veth1 vid 101", addPortVlans(veth1, [{ id: 101, native: false }])],
  [
    "bridge vlan add dev veth1 vid 200-210",
    addPortVlans(
      veth1,
      Array.from({ length: 11 }, (_, index) => ({ id: 200 + index, native: false })),
    ),
  ],
  ["bridge vlan delete dev veth1 vid 1", deletePortVlans(veth1, [1])],
];

for (const [command, request] of cases) {
  test(`the request is iproute2's of: ${command}`, () => {
    const theirs = capturedRequest("vlan", command);
    expect(bytesToHex(encodeLike(theirs, request))).toBe(bytesToHex(theirs));
  });
}

test("addPortVlans() tells single VLANs and runs of them together, the native one first", () => {
  const ids = [7, 9, 10, 4094];
  const { body } = addPortVlans(veth1, [...ids.map((id) => ({ id, native: false })), { id: 100, native: true }]);
  const entries = bytesToHex(body.subarray(20)).match(/.{16}/g);
  expect(entries).toEqual([
    "0800020006006400",
    "0800020000000700",
    "0800020008000900",
    "0800020010000a00",
    "080002000000fe0f",
  ]);
});

test("decodePortVlans() reads every VLAN of the port that is asked for", () => {
  const writer = new ByteWriter(64);
  writer.u8(7).zeros(3).i32(veth1).u32(0).u32(0);
  putString(writer, 3, "veth1");
  putNested(writer, 26, () => {
    putBytes(writer, 2, Uint8Array.of(0, 0, 1, 0));
    // IFLA_BRIDGE_MODE, which is no VLAN.
    putBytes(writer, 1, Uint8Array.of(1, 0));
    putBytes(writer, 2, Uint8Array.of(6, 0, 0xfe, 0x0f));
  });
  const reply = { type: 16, flags: 0, sequence: 1, body: writer.finish() };
  expect(decodePortVlans(reply, veth1)).toEqual([
    { id: 1, native: false },
    { id: 4094, native: true },
  ]);
  expect(decodePortVlans(reply, captured.br1)).toEqual([]);
});

test("decodePortVlans() finds none where the kernel's bridges know no VLANs", () => {
  const replies = capturedReplies("vlan", "bridge vlan show").filter(({ type }) => type === 16);
  expect(replies.length).toBeGreaterThan(0);
  expect(replies.flatMap((reply) => decodePortVlans(reply, veth1))).toEqual([]);
});

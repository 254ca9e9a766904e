import { expect, test } from "bun:test";

import { ByteWriter, ShortReadError } from "../../../src/base/bytes.ts";
import {
  buildRequest,
  decodeReplies,
  encodeRequest,
  findDumpRefusal,
  findRefusal,
  isAcknowledgement,
  NetlinkError,
  type Reply,
} from "../../../src/netlink/message.ts";
import { errno, failedWith, SyscallError } from "../../../src/sys/errno.ts";
import { bytesToHex, hexToBytes } from "../../helpers/bytes.ts";
import { capturedReplies } from "./capture.ts";

/** The one answer to a refused command. */
function refusedReply(command: string): Reply {
  const [reply, ...more] = capturedReplies("refusal", command);
  if (reply === undefined || more.length > 0) throw new Error(`Cannot use capture "${command}": not one answer`);
  return reply;
}

/** What iproute2 was told; it does not ask for NETLINK_CAP_ACK, so that its own request comes back in full. */
const refused: readonly (readonly [command: string, error: number, kernelMessage: string | undefined])[] = [
  ["ip link add name cni0 type bridge", errno.EEXIST, undefined],
  ["ip link add name br9 type bridge vlan_filtering 1", errno.EOPNOTSUPP, undefined],
  ["ip link show dev absent0", errno.ENODEV, undefined],
  [
    "ip link add name vx2 type vxlan id 1 dev eth0 dstport 8472",
    errno.EEXIST,
    "A VXLAN device with the specified VNI already exists",
  ],
  ["ip route add 10.99.0.0/24 via 172.31.0.1 dev eth0", errno.ENETUNREACH, "Nexthop has invalid gateway"],
  ["ip route delete 10.98.0.0/24", errno.ESRCH, undefined],
  ["ip address delete 10.97.0.1/24 dev eth0", errno.EADDRNOTAVAIL, "ipv4: Address not found"],
];

test.each(refused)("findRefusal() reads the kernel's answer to %s", (command, error, kernelMessage) => {
  const reply = refusedReply(command);
  expect(isAcknowledgement(reply)).toBe(true);
  const refusal = findRefusal(reply, "do it");
  expect({ error: refusal?.errno, kernelMessage: refusal?.kernelMessage }).toEqual({ error, kernelMessage });
});

test("findRefusal() sees no refusal in an acknowledgement, in full or cut (NLM_F_CAPPED)", () => {
  const replies = capturedReplies("link", "ip link set dev flannel.1 up");
  expect(replies.map((reply) => ({ type: reply.type, cut: reply.flags === 0x100 }))).toEqual([{ type: 2, cut: true }]);
  expect(replies.map((reply) => findRefusal(reply, "set link"))).toEqual([undefined]);
});

test("findRefusal() finds the kernel's words behind a request that was cut (NETLINK_CAP_ACK)", () => {
  // error -17 and the header of a request of 60 bytes, without its body; then NLMSGERR_ATTR_OFFS and NLMSGERR_ATTR_MSG
  const body = hexToBytes(
    ["efffffff", "3c000000100005066cd1046b00000000", "0800020010000000", "0c000100 7461 6b65 6e00 0000"].join(""),
  );
  const reply = { type: 2, flags: 0x300, sequence: 1, body };
  expect(findRefusal(reply, "add link")?.message).toBe("Cannot add link: file exists (EEXIST): taken");
});

test("findRefusal() refuses an answer that is cut off", () => {
  for (const [length, flags] of [[3, 0] as const, [10, 0x300] as const, [24, 0x200] as const]) {
    const body = refusedReply("ip route add 10.99.0.0/24 via 172.31.0.1 dev eth0").body.subarray(0, length);
    expect(() => findRefusal({ type: 2, flags, sequence: 1, body }, "add route")).toThrow(ShortReadError);
  }
});

test("findDumpRefusal() reads why the kernel ended a dump, with its own words", () => {
  const reply = refusedReply("ip route show table 999");
  expect({ type: reply.type, acknowledgement: isAcknowledgement(reply) }).toEqual({ type: 3, acknowledgement: false });
  const refusal = findDumpRefusal(reply, "list routes");
  expect(refusal?.message).toBe(
    "Cannot list routes: no such file or directory (ENOENT): ipv4: FIB table does not exist",
  );
});

test("findDumpRefusal() sees no refusal at the end of a whole dump, with or without an error number", () => {
  const done = capturedReplies("dump", "ip -d link show").at(-1);
  if (done === undefined) throw new Error("Cannot use capture: it is empty");
  expect(bytesToHex(done.body)).toBe("00000000");
  expect(findDumpRefusal(done, "list links")).toBeUndefined();
  expect(findDumpRefusal({ ...done, body: hexToBytes("") }, "list links")).toBeUndefined();
  expect(findDumpRefusal({ ...done, body: hexToBytes("fcffffff"), flags: 0 }, "list")?.errno).toBe(errno.EINTR);
});

test("NetlinkError is a SyscallError, so that failedWith() tells its reasons apart", () => {
  const error = new NetlinkError("delete link cni0", errno.ENODEV);
  expect(error).toBeInstanceOf(SyscallError);
  expect([failedWith(error, errno.ENODEV), failedWith(error, errno.EEXIST)]).toEqual([true, false]);
  expect(String(error)).toBe("NetlinkError: Cannot delete link cni0: no such device (ENODEV)");
});

test("encodeRequest() puts requests behind one another, each on a multiple of four bytes", () => {
  const request = buildRequest(16, 0x600, "add link", (writer) => writer.bytes(hexToBytes("0102030405")));
  const writer = new ByteWriter(1);
  encodeRequest(writer, request, 0x1, 7);
  encodeRequest(writer, request, 0x5, 8);
  expect(bytesToHex(writer.finish())).toBe(
    ["15000000 1000 0106 07000000 00000000 0102030405 000000", "15000000 1000 0506 08000000 00000000 0102030405 000000"]
      .join("")
      .replaceAll(" ", ""),
  );
});

test("buildRequest() takes a body of any length", () => {
  const request = buildRequest(16, 0, "add link", (writer) => {
    for (let value = 0; value < 2000; value++) writer.u32(value);
  });
  expect(request.body.length).toBe(8000);
  expect(bytesToHex(request.body.subarray(7996))).toBe("cf070000");
});

test("decodeReplies() is the reverse of encodeRequest()", () => {
  const writer = new ByteWriter();
  const bodies = ["", "01", "0102030405060708"];
  for (const [index, hex] of bodies.entries()) {
    const request = { type: 20 + index, flags: 0, body: hexToBytes(hex), text: "" };
    encodeRequest(writer, request, 0x302, 100 + index);
  }
  expect(
    decodeReplies(writer.finish()).map(({ type, flags, sequence, body }) => [type, flags, sequence, bytesToHex(body)]),
  ).toEqual(bodies.map((hex, index) => [20 + index, 0x302, 100 + index, hex]));
});

/** A datagram holds whole messages; anything else must end in an error, not in a wrong message or a loop. */
const broken: readonly (readonly [hex: string, why: string])[] = [
  ["14000000 0200 0000 01000000 00000000", "longer than the datagram"],
  ["0f000000 0200 0000 01000000 00000000", "shorter than its header"],
  ["00000000 0200 0000 01000000 00000000", "of no length"],
  ["ffffffff 0200 0000 01000000 00000000", "of the greatest length"],
  ["10000000 0200 0000 01000000 00000000 11000000 0200 0000 01000000 00000000", "the second cut off"],
];

test.each(broken)("decodeReplies() refuses %s: %s", (hex) => {
  expect(() => decodeReplies(hexToBytes(hex))).toThrow(ShortReadError);
});

test("decodeReplies() finds nothing in an empty datagram", () => {
  expect(decodeReplies(hexToBytes(""))).toEqual([]);
});

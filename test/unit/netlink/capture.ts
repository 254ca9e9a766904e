import { readFileSync } from "node:fs";
import { join } from "node:path";

import { parseCidr } from "../../../src/addr/cidr.ts";
import { parseIp } from "../../../src/addr/ip.ts";
import { ByteWriter } from "../../../src/base/bytes.ts";
import { NLM_F_ACK, NLM_F_REQUEST } from "../../../src/netlink/constants.ts";
import { decodeReplies, encodeRequest, type Reply, type Request } from "../../../src/netlink/message.ts";
import { routeSpec, type RouteSpec } from "../../../src/netlink/route.ts";
import { hexToBytes } from "../../helpers/bytes.ts";

/** The indexes that the devices have in the captures. */
export const captured = {
  eth0: 2,
  cni0: 3,
  br1: 4,
  veth1: 5,
  flannel1: 6,
  vx6: 7,
  veth3: 8,
  veth2: 9,
} as const;

/** The files below test/fixtures/netlink. */
export type CaptureFile =
  | "link"
  | "address"
  | "route"
  | "neighbor"
  | "dump"
  | "refusal"
  | "vlan"
  | "event"
  | "nftables";

/** The datagrams of one command, in order. */
interface Capture {
  readonly sent: readonly Uint8Array[];
  readonly received: readonly Uint8Array[];
}

/** What was captured of a command. Throws an Error when that is nothing. */
function readCapture(file: CaptureFile, command: string): Capture {
  const text = readFileSync(join(import.meta.dir, `../../fixtures/netlink/${file}.hex`), "utf8");
  const part = text.split("\n\n").find((lines) => lines.startsWith(`$ ${command}\n`));
  if (part === undefined) throw new Error(`Cannot find capture "${command}": ${file}.hex has none`);
  return { sent: datagrams(part, ">"), received: datagrams(part, "<") };
}

/** The request of a command, without the bytes that follow its end. */
export function capturedRequest(file: CaptureFile, command: string): Uint8Array {
  const [datagram] = readCapture(file, command).sent;
  if (datagram === undefined) throw new Error(`Cannot find request of "${command}": nothing was sent`);
  return datagram.subarray(0, new DataView(datagram.buffer).getUint32(0, true));
}

/** The messages of the one transaction that nft sends for a command, without those that frame it. */
export function capturedTransaction(command: string): readonly Reply[] {
  return readCapture("nftables", command).sent.flatMap((datagram) => decodeReplies(datagram).slice(1, -1));
}

/** All messages that the kernel sent. */
export function capturedReplies(file: CaptureFile, command: string): readonly Reply[] {
  return readCapture(file, command).received.flatMap((datagram) => decodeReplies(datagram));
}

function datagrams(lines: string, direction: string): readonly Uint8Array<ArrayBuffer>[] {
  return lines
    .split("\n")
    .filter((line) => line.startsWith(`${direction} `))
    .map((line) => hexToBytes(line.slice(2)));
}

/** A request as it goes out, with iproute2's sequence number; iproute2 asks for an acknowledgement each time. */
export function encodeLike(theirs: Uint8Array, request: Request): Uint8Array {
  const sequence = new DataView(theirs.buffer, theirs.byteOffset).getUint32(8, true);
  const writer = new ByteWriter(request.body.length + 16);
  encodeRequest(writer, request, NLM_F_REQUEST | NLM_F_ACK, sequence);
  return writer.finish();
}

/** A route to a peer's subnet as the captures have it, through flannel.1 and without a route to its gateway. */
export function overlayRoute(destination: string, gateway: string): RouteSpec {
  return routeSpec({
    destination: parseCidr(destination),
    gateway: parseIp(gateway),
    interfaceIndex: captured.flannel1,
    onLink: true,
  });
}

/** `ip route add` is `prepend` that is refused when there is any route to the destination: NLM_F_EXCL (0x200). */
export function exclusive(request: Request): Request {
  return { ...request, flags: request.flags | 0x200 };
}

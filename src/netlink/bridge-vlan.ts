/**
 * The VLANs of a bridge's ports. Requests and replies are those of links with AF_BRIDGE as their family; the VLANs stand
 * in IFLA_AF_SPEC, an attribute for each.
 *
 *     struct bridge_vlan_info { __u16 flags; __u16 vid; };
 */
import { ByteReader, type ByteWriter } from "../base/bytes.ts";
import { Attributes, putBytes, putNested, putU32 } from "./attribute.ts";
import { AF_BRIDGE, IFLA_EXT_MASK, NLA_TYPE_MASK, RTM_DELLINK, RTM_GETLINK } from "./constants.ts";
import { buildRequest, type Reply, type Request } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

/** include/uapi/linux/rtnetlink.h, if_link.h and if_bridge.h */
const RTM_SETLINK = 19;
const RTEXT_FILTER_BRVLAN = 2;
const IFLA_AF_SPEC = 26;
const IFLA_BRIDGE_VLAN_INFO = 2;
const BRIDGE_VLAN_INFO_PVID = 2;
const BRIDGE_VLAN_INFO_UNTAGGED = 4;
const BRIDGE_VLAN_INFO_RANGE_BEGIN = 8;
const BRIDGE_VLAN_INFO_RANGE_END = 16;

/** A VLAN that a port belongs to. */
export interface PortVlan {
  readonly id: number;
  /** Untagged frames that come in belong to it (PVID), and its frames go out untagged. */
  readonly native: boolean;
}

/** Like: bridge vlan add dev PORT vid ID [pvid untagged], for each of them; ids ascend. */
export function addPortVlans(portIndex: number, vlans: readonly PortVlan[]): Request {
  return vlanRequest(RTM_SETLINK, `add VLANs to port #${portIndex}`, portIndex, (writer) => {
    for (const vlan of vlans) {
      if (vlan.native) putVlan(writer, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED, vlan.id);
    }
    putRanges(
      writer,
      vlans.filter((vlan) => !vlan.native).map((vlan) => vlan.id),
    );
  });
}

/** Like: bridge vlan delete dev PORT vid ID, for each of them; ids ascend. */
export function deletePortVlans(portIndex: number, ids: readonly number[]): Request {
  return vlanRequest(RTM_DELLINK, `delete VLANs of port #${portIndex}`, portIndex, (writer) => putRanges(writer, ids));
}

/** The VLANs of one port, ascending; none where the kernel's bridges know no VLANs. Like: bridge vlan show dev PORT */
export function listPortVlans(socket: NetlinkSocket, portIndex: number): readonly PortVlan[] {
  // The kernel filters by nothing but the family here.
  const request = buildRequest(RTM_GETLINK, 0, "list VLANs of bridge ports", (writer) => {
    putHeader(writer, 0);
    putU32(writer, IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN);
  });
  return socket.dump(request).flatMap((reply) => decodePortVlans(reply, portIndex));
}

/** What one reply of such a dump says of the port, nothing when it is about another. */
export function decodePortVlans(reply: Reply, portIndex: number): readonly PortVlan[] {
  const reader = new ByteReader(reply.body);
  reader.skip(4);
  if (reader.i32() !== portIndex) return [];
  reader.skip(8);
  const spec = new Attributes(reader.bytes(reader.remaining)).findBytes(IFLA_AF_SPEC) ?? new Uint8Array(0);
  // Not by Attributes: of several with one type it keeps the last.
  const entries = new ByteReader(spec);
  const vlans: PortVlan[] = [];
  while (entries.remaining >= 4) {
    const length = entries.u16();
    const type = entries.u16() & NLA_TYPE_MASK;
    const payload = new ByteReader(entries.bytes(length - 4));
    entries.align(4);
    if (type !== IFLA_BRIDGE_VLAN_INFO) continue;
    const flags = payload.u16();
    vlans.push({ id: payload.u16(), native: (flags & BRIDGE_VLAN_INFO_PVID) !== 0 });
  }
  return vlans;
}

function vlanRequest(type: number, text: string, portIndex: number, fill: (writer: ByteWriter) => void): Request {
  return buildRequest(type, 0, text, (writer) => {
    putHeader(writer, portIndex);
    putNested(writer, IFLA_AF_SPEC, () => fill(writer));
  });
}

/** struct ifinfomsg, without changes of flags. */
function putHeader(writer: ByteWriter, index: number): void {
  writer.u8(AF_BRIDGE).zeros(3).i32(index).u32(0).u32(0);
}

/** A run of ids is told by its first and its last. */
function putRanges(writer: ByteWriter, ids: readonly number[]): void {
  for (let start = 0; start < ids.length;) {
    const first = ids[start] ?? 0;
    let count = 1;
    while (ids[start + count] === first + count) count++;
    if (count === 1) {
      putVlan(writer, 0, first);
    } else {
      putVlan(writer, BRIDGE_VLAN_INFO_RANGE_BEGIN, first);
      putVlan(writer, BRIDGE_VLAN_INFO_RANGE_END, first + count - 1);
    }
    start += count;
  }
}

function putVlan(writer: ByteWriter, flags: number, id: number): void {
  putBytes(writer, IFLA_BRIDGE_VLAN_INFO, Uint8Array.of(flags, 0, id & 0xff, id >> 8));
}

/**
 * Neighbour entries (which MAC address an IP address has) and forwarding entries of a VXLAN device (behind which outer
 * address a MAC address is): the kernel keeps both in messages of one form.
 *
 *     struct ndmsg { __u8 ndm_family, ndm_pad1; __u16 ndm_pad2; __s32 ndm_ifindex; __u16 ndm_state; __u8 ndm_flags,
 *                    ndm_type; };
 */
import { type Family, formatIp, type IpAddress } from "../addr/ip.ts";
import { type MacAddress, macBytes, macFromBytes } from "../addr/mac.ts";
import { ByteReader } from "../base/bytes.ts";
import { Attributes, putBytes, putU32 } from "./attribute.ts";
import * as k from "./constants.ts";
import { addressFamily, findAddress } from "./family.ts";
import { buildRequest, type Reply, type Request } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

/** A neighbour entry, or a forwarding entry of a VXLAN device: an IP address, a MAC address and the device. */
export interface NeighborSpec {
  readonly interfaceIndex: number;
  /** The neighbour's own address; for a forwarding entry the outer address its packets are sent to. */
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

/** Which entry a request is about; that it has a MAC address is no matter. */
type NeighborId = Omit<NeighborSpec, "mac"> & Partial<Pick<NeighborSpec, "mac">>;

/** An entry as the kernel reports it; an incomplete neighbour has no MAC address, a local one no outer address. */
export interface Neighbor {
  readonly interfaceIndex: number;
  readonly address: IpAddress | undefined;
  readonly mac: MacAddress | undefined;
  /** NUD_… bits. */
  readonly state: number;
  /** Of a forwarding entry, where it differs from the VXLAN device's own: the UDP port, the VNI, the outgoing device. */
  readonly port: number | undefined;
  readonly vni: number | undefined;
  readonly viaIndex: number | undefined;
}

/** The neighbours of one device. Like: ip neigh show dev D */
export function listNeighbors(socket: NetlinkSocket, family: Family, interfaceIndex: number): readonly Neighbor[] {
  const request = buildRequest(k.RTM_GETNEIGH, 0, "list neighbours", (writer) => {
    writer.u8(addressFamily(family)).zeros(11);
    putU32(writer, k.NDA_IFINDEX, interfaceIndex);
  });
  return decodeEntries(socket.dump(request), interfaceIndex);
}

/** The forwarding entries of one VXLAN device. Like: bridge fdb show dev D */
export function listForwarding(socket: NetlinkSocket, interfaceIndex: number): readonly Neighbor[] {
  // For this family, and with NETLINK_GET_STRICT_CHK, the device is named in the header (rtnl_fdb_dump).
  const request = buildRequest(k.RTM_GETNEIGH, 0, "list forwarding entries", (writer) => {
    writer.u8(k.AF_BRIDGE).zeros(3).i32(interfaceIndex).zeros(4);
  });
  return decodeEntries(socket.dump(request), interfaceIndex);
}

/** Makes a permanent entry, in place of any for the same address. Like: ip neigh replace A lladdr MAC dev D nud permanent */
export function replaceNeighbor(spec: NeighborSpec): Request {
  return neighborRequest(
    k.RTM_NEWNEIGH,
    addressFamily(spec.address.family),
    0,
    () => `set neighbour ${formatIp(spec.address)} lladdr ${spec.mac} dev #${spec.interfaceIndex}`,
    spec,
  );
}

/** Like: ip neigh delete A dev D */
export function deleteNeighbor(spec: NeighborId): Request {
  return neighborRequest(
    k.RTM_DELNEIGH,
    addressFamily(spec.address.family),
    0,
    () => `delete neighbour ${formatIp(spec.address)} dev #${spec.interfaceIndex}`,
    spec,
  );
}

/** Makes the kernel ask for a neighbour of which it knows nothing. Like: ip neigh replace A dev D use */
export function solicitNeighbor({ interfaceIndex, address }: NeighborId): Request {
  const text = `ask for neighbour ${formatIp(address)} dev #${interfaceIndex}`;
  return buildRequest(k.RTM_NEWNEIGH, k.NLM_F_CREATE | k.NLM_F_REPLACE, text, (writer) => {
    writer.u8(addressFamily(address.family)).zeros(3).i32(interfaceIndex).u16(0).u8(k.NTF_USE).u8(k.RTN_UNICAST);
    putBytes(writer, k.NDA_DST, address.bytes);
  });
}

/** Makes a permanent entry, in place of any for the same MAC. Like: bridge fdb replace MAC dev D dst A self permanent */
export function replaceForwarding(spec: NeighborSpec): Request {
  return neighborRequest(
    k.RTM_NEWNEIGH,
    k.AF_BRIDGE,
    k.NTF_SELF,
    () => `set forwarding entry ${spec.mac} dst ${formatIp(spec.address)} dev #${spec.interfaceIndex}`,
    spec,
  );
}

/** Like: bridge fdb delete MAC dev D dst A self */
export function deleteForwarding(spec: NeighborSpec): Request {
  return neighborRequest(
    k.RTM_DELNEIGH,
    k.AF_BRIDGE,
    k.NTF_SELF,
    () => `delete forwarding entry ${spec.mac} dst ${formatIp(spec.address)} dev #${spec.interfaceIndex}`,
    spec,
  );
}

/** Decodes RTM_NEWNEIGH and RTM_DELNEIGH of any family. */
export function decodeNeighbor(reply: Reply): Neighbor {
  const reader = new ByteReader(reply.body);
  reader.skip(4);
  const interfaceIndex = reader.i32();
  const state = reader.u16();
  reader.skip(2);
  const attributes = new Attributes(reader.bytes(reader.remaining));
  const mac = attributes.findBytes(k.NDA_LLADDR);
  return {
    interfaceIndex,
    address: findAddress(attributes.findBytes(k.NDA_DST)),
    mac: mac?.length === 6 ? macFromBytes(mac) : undefined,
    state,
    port: attributes.findU16Be(k.NDA_PORT),
    vni: attributes.findU32(k.NDA_VNI),
    viaIndex: attributes.findU32(k.NDA_IFINDEX),
  };
}

function decodeEntries(replies: readonly Reply[], interfaceIndex: number): readonly Neighbor[] {
  return replies.map(decodeNeighbor).filter((entry) => entry.interfaceIndex === interfaceIndex);
}

function neighborRequest(
  type: number,
  family: number,
  ndmFlags: number,
  text: () => string,
  spec: NeighborId,
): Request {
  const flags = type === k.RTM_NEWNEIGH ? k.NLM_F_CREATE | k.NLM_F_REPLACE : 0;
  return buildRequest(type, flags, text, (writer) => {
    writer.u8(family).zeros(3).i32(spec.interfaceIndex).u16(k.NUD_PERMANENT).u8(ndmFlags).u8(k.RTN_UNICAST);
    putBytes(writer, k.NDA_DST, spec.address.bytes);
    if (spec.mac !== undefined) putBytes(writer, k.NDA_LLADDR, macBytes(spec.mac));
  });
}

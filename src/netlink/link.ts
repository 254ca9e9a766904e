/**
 * Links: the kernel's network devices, read and changed.
 *
 *     struct ifinfomsg { unsigned char ifi_family, __ifi_pad; unsigned short ifi_type; int ifi_index;
 *                        unsigned ifi_flags, ifi_change; };
 */
import { type MacAddress, macBytes, macFromBytes } from "../addr/mac.ts";
import { ByteReader, type ByteWriter } from "../base/bytes.ts";
import { errno, failedWith } from "../sys/errno.ts";
import { Attributes, putBytes, putNested, putString, putText, putU32, putU8 } from "./attribute.ts";
import * as k from "./constants.ts";
import { decodeVxlan, type Vxlan } from "./link-vxlan.ts";
import { buildRequest, type Reply, type Request } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

/** A network device as the kernel reports it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly promiscuous: boolean;
  /** RFC 2863's operational state, IF_OPER_UP when it can carry traffic. */
  readonly operState: number;
  readonly mac: MacAddress | undefined;
  readonly mtu: number;
  /** The other end of a veth pair, by its index in `peerNetnsId`'s namespace; a VXLAN device's lower one is in `vxlan`. */
  readonly lowerIndex: number | undefined;
  /** The kernel's id of the namespace that `lowerIndex` counts in; undefined for this one. */
  readonly peerNetnsId: number | undefined;
  readonly masterIndex: number | undefined;
  readonly alias: string;
  /** `bridge`, `veth`, `vxlan`, …; undefined for a device that no link kind made. */
  readonly kind: string | undefined;
  readonly vxlan: Vxlan | undefined;
  readonly bridgePort: BridgePort | undefined;
}

/** What a device is as a port of a bridge. */
export interface BridgePort {
  readonly hairpin: boolean;
}

/** Which device a request is about. */
export type LinkId = { readonly index: number } | { readonly name: string };

/** Changes to a device; what is left out stays as it is. */
export interface LinkChanges {
  readonly up?: boolean;
  readonly mac?: MacAddress;
  readonly mtu?: number;
  readonly alias?: string;
  /** Index of the bridge it becomes a port of. */
  readonly master?: number;
}

/** The device with this name, or undefined. Like: ip link show NAME */
export function findLink(socket: NetlinkSocket, id: LinkId): Link | undefined {
  try {
    const [reply] = socket.request(getLink(id));
    return reply === undefined ? undefined : decodeLink(reply);
  } catch (error) {
    if (failedWith(error, errno.ENODEV)) return undefined;
    throw error;
  }
}

/** All devices of the namespace. Like: ip link show */
export function listLinks(socket: NetlinkSocket): readonly Link[] {
  const request = buildRequest(k.RTM_GETLINK, 0, "list links", (writer) => {
    putLinkHeader(writer, {});
    putU32(writer, k.IFLA_EXT_MASK, k.RTEXT_FILTER_SKIP_STATS);
  });
  return socket.dump(request).map(decodeLink);
}

/** Like: ip link show NAME */
export function getLink(id: LinkId): Request {
  return buildRequest(k.RTM_GETLINK, 0, `find link ${linkText(id)}`, (writer) => {
    putLinkHeader(writer, { id });
    putLinkName(writer, id);
    putU32(writer, k.IFLA_EXT_MASK, k.RTEXT_FILTER_SKIP_STATS);
  });
}

/** Like: ip link set NAME [up|down] [address MAC] [mtu N] [alias TEXT] [master BRIDGE] */
export function changeLink(id: LinkId, changes: LinkChanges): Request {
  return buildRequest(k.RTM_NEWLINK, 0, `change link ${linkText(id)}`, (writer) => {
    putLinkHeader(writer, { id, up: changes.up });
    putLinkName(writer, id);
    putLinkChanges(writer, changes);
  });
}

/** Like: bridge link set dev NAME hairpin on|off; the device must be a bridge's port already. */
export function changeBridgePort(id: LinkId, port: BridgePort, alias?: string): Request {
  return buildRequest(k.RTM_NEWLINK, 0, `change bridge port ${linkText(id)}`, (writer) => {
    putLinkHeader(writer, { id });
    putLinkName(writer, id);
    if (alias !== undefined) putText(writer, k.IFLA_IFALIAS, alias);
    putNested(writer, k.IFLA_LINKINFO, () => {
      putText(writer, k.IFLA_INFO_SLAVE_KIND, "bridge");
      putNested(writer, k.IFLA_INFO_SLAVE_DATA, () => putU8(writer, k.IFLA_BRPORT_MODE, port.hairpin ? 1 : 0));
    });
  });
}

/** Like: ip link delete NAME */
export function deleteLink(id: LinkId): Request {
  return buildRequest(k.RTM_DELLINK, 0, `delete link ${linkText(id)}`, (writer) => {
    putLinkHeader(writer, { id });
    putLinkName(writer, id);
  });
}

/** Deletes a device; false when there was none. Like: ip link delete */
export function removeLink(socket: NetlinkSocket, id: LinkId): boolean {
  try {
    socket.request(deleteLink(id));
    return true;
  } catch (error) {
    if (failedWith(error, errno.ENODEV)) return false;
    throw error;
  }
}

/** Decodes RTM_NEWLINK and RTM_DELLINK. */
export function decodeLink(reply: Reply): Link {
  const reader = new ByteReader(reply.body);
  reader.skip(4);
  const index = reader.i32();
  const flags = reader.u32();
  reader.skip(4);
  const attributes = new Attributes(reader.bytes(reader.remaining));
  const info = attributes.nested(k.IFLA_LINKINFO);
  const kind = info.findString(k.IFLA_INFO_KIND);
  const mac = attributes.findBytes(k.IFLA_ADDRESS);
  return {
    index,
    name: attributes.findString(k.IFLA_IFNAME) ?? "",
    up: (flags & k.IFF_UP) !== 0,
    loopback: (flags & k.IFF_LOOPBACK) !== 0,
    promiscuous: (flags & k.IFF_PROMISC) !== 0,
    operState: attributes.findU8(k.IFLA_OPERSTATE) ?? 0,
    mac: mac?.length === 6 ? macFromBytes(mac) : undefined,
    mtu: attributes.findU32(k.IFLA_MTU) ?? 0,
    lowerIndex: attributes.findU32(k.IFLA_LINK),
    peerNetnsId: attributes.findU32(k.IFLA_LINK_NETNSID),
    masterIndex: attributes.findU32(k.IFLA_MASTER),
    alias: attributes.findString(k.IFLA_IFALIAS) ?? "",
    kind,
    vxlan: kind === "vxlan" ? decodeVxlan(info.nested(k.IFLA_INFO_DATA)) : undefined,
    bridgePort:
      info.findString(k.IFLA_INFO_SLAVE_KIND) === "bridge"
        ? { hairpin: info.nested(k.IFLA_INFO_SLAVE_DATA).findU8(k.IFLA_BRPORT_MODE) === 1 }
        : undefined,
  };
}

/** Writes the family header: for a new device (no `id`) or an existing one, and the wanted up flag. */
export function putLinkHeader(
  writer: ByteWriter,
  header: { readonly id?: LinkId; readonly up?: boolean | undefined },
): void {
  const index = header.id !== undefined && "index" in header.id ? header.id.index : 0;
  const flags = header.up === true ? k.IFF_UP : 0;
  const change = header.up === undefined ? 0 : k.IFF_UP;
  writer.u8(k.AF_UNSPEC).zeros(3).i32(index).u32(flags).u32(change);
}

/** Writes the attributes that new and changed devices have in common. */
export function putLinkChanges(writer: ByteWriter, changes: LinkChanges): void {
  if (changes.mac !== undefined) putBytes(writer, k.IFLA_ADDRESS, macBytes(changes.mac));
  if (changes.mtu !== undefined && changes.mtu !== 0) putU32(writer, k.IFLA_MTU, changes.mtu);
  if (changes.alias !== undefined) putText(writer, k.IFLA_IFALIAS, changes.alias);
  if (changes.master !== undefined) putU32(writer, k.IFLA_MASTER, changes.master);
}

function putLinkName(writer: ByteWriter, id: LinkId): void {
  if ("name" in id) putString(writer, k.IFLA_IFNAME, id.name);
}

function linkText(id: LinkId): string {
  return "name" in id ? id.name : `#${id.index}`;
}

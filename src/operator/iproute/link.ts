/** Devices as `ip -d addr show` prints them, without what only a specialist looks for (queues, groups, life times). */
import { formatIp } from "../../addr/ip.ts";
import { ByteReader } from "../../base/bytes.ts";
import * as k from "../../netlink/constants.ts";
import { decodeLink, findLink, getLink, type Link, listLinks } from "../../netlink/link.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import { addressLines } from "./address.ts";

/** include/uapi/linux/if.h, in the order in which `ip` prints them. */
const flagNames: readonly (readonly [bit: number, name: string])[] = [
  [0x8, "LOOPBACK"],
  [0x2, "BROADCAST"],
  [0x10, "POINTOPOINT"],
  [0x1000, "MULTICAST"],
  [0x80, "NOARP"],
  [0x200, "ALLMULTI"],
  [0x100, "PROMISC"],
  [0x1, "UP"],
  [0x10000, "LOWER_UP"],
];

/** RFC 2863, by number. */
const operStates = ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];

/** Like: ip -d addr show dev NAME */
export function linkAndAddressLines(socket: NetlinkSocket, name: string): readonly string[] {
  const { link, lines } = readLink(socket, name);
  return [...lines, ...addressLines(socket, link)];
}

/** The ports of a bridge. Like: ip -d link show master BRIDGE */
export function portLines(socket: NetlinkSocket, bridge: string): readonly string[] {
  const { link: master } = readLink(socket, bridge);
  return listLinks(socket)
    .filter((link) => link.masterIndex === master.index)
    .flatMap((link) => readLink(socket, link.name).lines);
}

function readLink(socket: NetlinkSocket, name: string): { readonly link: Link; readonly lines: readonly string[] } {
  const [reply] = socket.request(getLink({ name }));
  if (reply === undefined) throw new Error(`Cannot show link "${name}": the kernel did not answer with it`);
  const link = decodeLink(reply);
  return { link, lines: [headLine(socket, link, linkFlags(reply.body)), macLine(link), ...detailLines(socket, link)] };
}

/** `2: eth0@if9: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 master cni0 state UP` */
function headLine(socket: NetlinkSocket, link: Link, flags: number): string {
  const words = flagNames.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  if ((flags & k.IFF_UP) !== 0 && (flags & k.IFF_RUNNING) === 0) words.unshift("NO-CARRIER");
  if (isPeerDown(socket, link)) words.push("M-DOWN");
  const master = link.masterIndex === undefined ? "" : ` master ${linkName(socket, link.masterIndex)}`;
  const state = operStates[link.operState] ?? String(link.operState);
  return `${link.index}: ${link.name}${peerText(socket, link)}: <${words.join(",")}> mtu ${link.mtu}${master} state ${state}`;
}

/** struct ifinfomsg: the flags follow family, type and index. */
function linkFlags(body: Uint8Array): number {
  const reader = new ByteReader(body);
  reader.skip(8);
  return reader.u32();
}

/** The other end of a veth pair: by name when it is in the same namespace, else by its index in its own. */
function peerText(socket: NetlinkSocket, link: Link): string {
  if (link.lowerIndex === undefined) return "";
  if (link.peerNetnsId !== undefined) return `@if${link.lowerIndex}`;
  return link.lowerIndex === 0 ? "@NONE" : `@${linkName(socket, link.lowerIndex)}`;
}

/** True for one end of a veth pair whose other end, in the same namespace, is down. */
function isPeerDown(socket: NetlinkSocket, link: Link): boolean {
  if (link.lowerIndex === undefined || link.lowerIndex === 0 || link.peerNetnsId !== undefined) return false;
  return findLink(socket, { index: link.lowerIndex })?.up === false;
}

function macLine(link: Link): string {
  const peer = link.peerNetnsId === undefined ? "" : ` link-netnsid ${link.peerNetnsId}`;
  if (link.loopback) return `    link/loopback ${link.mac ?? ""} brd 00:00:00:00:00:00${peer}`;
  return `    link/ether ${link.mac ?? ""} brd ff:ff:ff:ff:ff:ff${peer}`;
}

function detailLines(socket: NetlinkSocket, link: Link): readonly string[] {
  const lines: string[] = [];
  if (link.vxlan !== undefined) {
    const { vni, port, local, lowerIndex, learning } = link.vxlan;
    const source = local === undefined ? "" : ` local ${formatIp(local)}`;
    const lower = lowerIndex === undefined ? "" : ` dev ${linkName(socket, lowerIndex)}`;
    lines.push(`    vxlan id ${vni}${source}${lower} dstport ${port} ${learning ? "learning" : "nolearning"}`);
  } else if (link.kind === "veth" || link.kind === "bridge") {
    lines.push(`    ${link.kind}`);
  }
  if (link.bridgePort !== undefined) lines.push(`    bridge_slave hairpin ${link.bridgePort.hairpin ? "on" : "off"}`);
  return lines;
}

function linkName(socket: NetlinkSocket, index: number): string {
  return findLink(socket, { index })?.name ?? `if${index}`;
}

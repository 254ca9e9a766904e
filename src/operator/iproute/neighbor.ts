/** Neighbour and forwarding entries as `ip neigh show` and `bridge fdb show` print them. */
import { type Family, formatIp } from "../../addr/ip.ts";
import { NUD_PERMANENT } from "../../netlink/constants.ts";
import { listForwarding, listNeighbors, type Neighbor } from "../../netlink/neighbor.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";

/** include/uapi/linux/neighbour.h */
const stateNames: readonly (readonly [bit: number, name: string])[] = [
  [0x01, "INCOMPLETE"],
  [0x02, "REACHABLE"],
  [0x04, "STALE"],
  [0x08, "DELAY"],
  [0x10, "PROBE"],
  [0x20, "FAILED"],
  [0x40, "NOARP"],
  [NUD_PERMANENT, "PERMANENT"],
];

/** `10.244.2.0 lladdr 2a:bb:cc:dd:ee:ff PERMANENT`. Like: ip -4|-6 neigh show dev NAME */
export function neighborLines(socket: NetlinkSocket, family: Family, interfaceIndex: number): readonly string[] {
  return listNeighbors(socket, family, interfaceIndex).map((entry) => {
    const states = stateNames.filter(([bit]) => (entry.state & bit) !== 0).map(([, name]) => name);
    return [addressText(entry), ...(entry.mac === undefined ? [] : ["lladdr", entry.mac]), states.join(",")].join(" ");
  });
}

/** `2a:bb:cc:dd:ee:ff dst 192.168.124.220 self permanent`. Like: bridge fdb show dev NAME, for a VXLAN device */
export function forwardingLines(socket: NetlinkSocket, interfaceIndex: number): readonly string[] {
  return listForwarding(socket, interfaceIndex).map((entry) => {
    const permanent = (entry.state & NUD_PERMANENT) === 0 ? [] : ["permanent"];
    return [entry.mac ?? "", "dst", addressText(entry), "self", ...permanent].join(" ");
  });
}

function addressText(entry: Neighbor): string {
  return entry.address === undefined ? "" : formatIp(entry.address);
}

/** Which of the kernel's events are reason to look again; pure. */
import { formatCidr } from "../addr/cidr.ts";
import { formatIp } from "../addr/ip.ts";
import { ByteReader } from "../base/bytes.ts";
import {
  AF_BRIDGE,
  RT_TABLE_MAIN,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELNEIGH,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  RTN_BLACKHOLE,
} from "../netlink/constants.ts";
import { addressFamily } from "../netlink/family.ts";
import { decodeLink } from "../netlink/link.ts";
import type { Reply } from "../netlink/message.ts";
import { decodeNeighbor, type Neighbor } from "../netlink/neighbor.ts";
import { findDecodedRoute } from "../netlink/route.ts";
import { deviceMatches } from "./diff.ts";
import { defaultPriority, forwardingMatches, isOwnRoute, isPermanent, neighborMatches, routeMatches } from "./match.ts";
import type { ExternalInterface, Overlay } from "./overlay.ts";

/** What the last look found and wanted. */
export interface Sight {
  readonly overlay: Overlay;
  readonly external: ExternalInterface;
  /** The overlay device's index, undefined while there is none. */
  readonly deviceIndex: number | undefined;
}

/**
 * True when the event may mean that something is not as wanted. Events of other devices do not, nor do those that tell
 * what is wanted anyway, as the echo of our own changes does. Without a sight, while the external interface is looked
 * for, any change of links, addresses and routes may be the one that is waited for.
 */
export function concernsUs(event: Reply, sight: Sight | undefined): boolean {
  switch (event.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return sight === undefined || concernsLink(event, sight);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return sight === undefined || isOneOf(indexOf(event), sight);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      return sight !== undefined && indexOf(event) === sight.deviceIndex && concernsEntry(event, sight.overlay);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return sight === undefined || concernsRoute(event, sight);
    default:
      return false;
  }
}

/** The messages of links, addresses and neighbours all have the device's index in the second word. */
function indexOf(event: Reply): number {
  const reader = new ByteReader(event.body);
  reader.skip(4);
  return reader.i32();
}

function isOneOf(index: number, { deviceIndex, external }: Sight): boolean {
  return index === deviceIndex || index === external.index;
}

function concernsLink(event: Reply, { overlay, external, deviceIndex }: Sight): boolean {
  const index = indexOf(event);
  if (index === deviceIndex) {
    if (event.type === RTM_DELLINK) return true;
    // Whoever knows the number has read the device since.
    return !tellsOfNewDevice(event) && !deviceMatches(decodeLink(event), overlay);
  }
  if (index === external.index) {
    if (event.type === RTM_DELLINK) return true;
    const link = decodeLink(event);
    return link.name !== external.name || link.mtu !== external.mtu;
  }
  // A device may get our device's name only where ours is gone.
  return deviceIndex === undefined && decodeLink(event).name === overlay.device.name;
}

/** By struct ifinfomsg's ifi_change, in which all flags are new ones then (net/core/rtnetlink.c: rtnl_configure_link). */
function tellsOfNewDevice(event: Reply): boolean {
  const reader = new ByteReader(event.body);
  reader.skip(12);
  return reader.u32() === 0xffff_ffff;
}

function concernsEntry(event: Reply, overlay: Overlay): boolean {
  const entry = decodeNeighbor(event);
  const isForwarding = event.body[0] === AF_BRIDGE;
  const wanted = isForwarding ? forwardingState(entry, overlay) : neighborState(entry, overlay);
  if (event.type === RTM_DELNEIGH) return wanted !== "unknown";
  return wanted === "wrong" || (wanted === "unknown" && isPermanent(entry));
}

type State = "right" | "wrong" | "unknown";

function forwardingState(entry: Neighbor, overlay: Overlay): State {
  const peer = entry.mac === undefined ? undefined : overlay.peersByMac.get(entry.mac);
  if (peer === undefined) return "unknown";
  return forwardingMatches(entry, peer) ? "right" : "wrong";
}

function neighborState(entry: Neighbor, overlay: Overlay): State {
  const peer = entry.address === undefined ? undefined : overlay.peersByBase.get(formatIp(entry.address));
  if (peer === undefined) return "unknown";
  return neighborMatches(entry, peer) ? "right" : "wrong";
}

/** struct rtmsg { rtm_family, rtm_dst_len, rtm_src_len, rtm_tos, rtm_table, rtm_protocol, rtm_scope, rtm_type, … } */
function concernsRoute(event: Reply, { overlay, deviceIndex }: Sight): boolean {
  const [family, prefixLength = 0, , , , , , type = 0] = event.body;
  // Cheap and first: most routes of others are shorter or of another family.
  if (family !== addressFamily(overlay.family) || prefixLength < overlay.network.prefixLength) return false;
  const isNew = event.type === RTM_NEWROUTE;
  const route = findDecodedRoute(event);
  // One that is not unicast may have taken a peer's place, but for the kernel's own of local addresses.
  if (route === undefined) return isNew && type >= RTN_BLACKHOLE;
  if (route.table !== RT_TABLE_MAIN) return false;
  const isOurs = route.interfaceIndex === deviceIndex;
  const peer = overlay.peersBySubnet.get(formatCidr(route.destination));
  if (peer === undefined || route.priority !== defaultPriority(overlay.family)) {
    return isNew && isOurs && isOwnRoute(route, overlay);
  }
  // One of another device that goes leaves ours as it was; one that comes has taken its place.
  return isNew ? !(isOurs && routeMatches(route, peer)) : isOurs;
}

/** Which of the kernel's entries are ours, and which are as wanted; the same for a comparison and for an event. */
import { cidrContains } from "../addr/cidr.ts";
import { type Family, ipEquals } from "../addr/ip.ts";
import { NUD_PERMANENT, RT_SCOPE_UNIVERSE, RTPROT_BOOT } from "../netlink/constants.ts";
import type { Neighbor } from "../netlink/neighbor.ts";
import type { Route } from "../netlink/route.ts";
import { type Overlay, type Peer, routeProtocol } from "./overlay.ts";

/**
 * True for a route on our device that we made, or that upstream made: it leaves the protocol at `boot`, and its gateway
 * is the destination's own first address, on the link.
 */
export function isOwnRoute(route: Route, overlay: Overlay): boolean {
  if (route.protocol === routeProtocol) return true;
  return (
    route.protocol === RTPROT_BOOT &&
    route.onLink &&
    route.gateway !== undefined &&
    ipEquals(route.gateway, route.destination.address) &&
    cidrContains(overlay.network, route.destination.address)
  );
}

/** True when the route on our device is the peer's. */
export function routeMatches(route: Route, peer: Peer): boolean {
  return (
    route.protocol === routeProtocol &&
    route.onLink &&
    route.scope === RT_SCOPE_UNIVERSE &&
    route.gateway !== undefined &&
    ipEquals(route.gateway, peer.subnet.address) &&
    route.source === undefined &&
    route.mtu === undefined &&
    route.advmss === undefined
  );
}

/** True for an entry that stays until somebody removes it. On our device only we make such. */
export function isPermanent(entry: Pick<Neighbor, "state">): boolean {
  return (entry.state & NUD_PERMANENT) !== 0;
}

/** True when the neighbour entry is the peer's. */
export function neighborMatches(entry: Neighbor, peer: Peer): boolean {
  return isPermanent(entry) && entry.mac === peer.mac;
}

/** True when the forwarding entry is the peer's. */
export function forwardingMatches(entry: Neighbor, peer: Peer): boolean {
  return (
    isPermanent(entry) &&
    entry.address !== undefined &&
    ipEquals(entry.address, peer.publicIp) &&
    entry.port === undefined &&
    entry.vni === undefined &&
    entry.viaIndex === undefined
  );
}

/** The priority that a route gets when none is asked for: the kernel has 0 for IPv4 and 1024 for IPv6 (ip6_route.h). */
export function defaultPriority(family: Family): number {
  return family === 4 ? 0 : 1024;
}

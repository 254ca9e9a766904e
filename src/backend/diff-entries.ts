import { formatCidr } from "../addr/cidr.ts";
import { formatIp } from "../addr/ip.ts";
import type { Request } from "../netlink/message.ts";
import {
  deleteForwarding,
  deleteNeighbor,
  type Neighbor,
  replaceForwarding,
  replaceNeighbor,
} from "../netlink/neighbor.ts";
import { deleteRoute, replaceRoute, type Route } from "../netlink/route.ts";
import type { Change } from "./change.ts";
import { defaultPriority, forwardingMatches, isOwnRoute, isPermanent, neighborMatches, routeMatches } from "./match.ts";
import { type Overlay, type Peer, peerRoute } from "./overlay.ts";
import type { Present } from "./present.ts";

/**
 * The changes to neighbours, forwarding entries and routes: what peers lack, then what nobody wants. A peer's route
 * comes after what its packets need, and goes before it.
 */
export function planEntries(present: Present, overlay: Overlay, interfaceIndex: number): readonly Change[] {
  const forwarding = comparePresent(present.forwarding, (entry) => findForwardingPeer(entry, overlay));
  const neighbors = comparePresent(present.neighbors, (entry) => findNeighborPeer(entry, overlay));
  const routes = comparePresent(present.routes, (route) => findRoutePeer(route, overlay));
  const added: Change[] = [];
  for (const peer of overlay.peers) {
    for (const change of [
      planForwarding(peer, forwarding.byPeer.get(peer), interfaceIndex),
      planNeighbor(peer, neighbors.byPeer.get(peer), interfaceIndex),
      planRoute(peer, routes.byPeer.get(peer), interfaceIndex),
    ]) {
      if (change !== undefined) added.push(change);
    }
  }
  return [
    ...added,
    ...routes.others.filter((route) => isOwnRoute(route, overlay)).flatMap(removeRoute),
    ...neighbors.others.filter(isPermanent).flatMap(removeNeighbor),
    ...forwarding.others.filter(isPermanent).flatMap(removeForwarding),
  ];
}

/** What the kernel holds, told apart: what stands in the place of a peer's entry, and the rest. */
interface Compared<T> {
  readonly byPeer: ReadonlyMap<Peer, T>;
  readonly others: readonly T[];
}

function comparePresent<T>(entries: readonly T[], findPeer: (entry: T) => Peer | undefined): Compared<T> {
  const byPeer = new Map<Peer, T>();
  const others: T[] = [];
  for (const entry of entries) {
    const peer = findPeer(entry);
    if (peer === undefined || byPeer.has(peer)) others.push(entry);
    else byPeer.set(peer, entry);
  }
  return { byPeer, others };
}

function findForwardingPeer(entry: Neighbor, overlay: Overlay): Peer | undefined {
  return entry.mac === undefined ? undefined : overlay.peersByMac.get(entry.mac);
}

function findNeighborPeer(entry: Neighbor, overlay: Overlay): Peer | undefined {
  return entry.address === undefined ? undefined : overlay.peersByBase.get(formatIp(entry.address));
}

/** A route of another priority leaves the place of the peer's own free. */
function findRoutePeer(route: Route, overlay: Overlay): Peer | undefined {
  if (route.priority !== defaultPriority(overlay.family)) return undefined;
  return overlay.peersBySubnet.get(formatCidr(route.destination));
}

function planForwarding(peer: Peer, entry: Neighbor | undefined, interfaceIndex: number): Change | undefined {
  if (entry !== undefined && forwardingMatches(entry, peer)) return undefined;
  return new PeerChange(
    peer,
    () => replaceForwarding({ interfaceIndex, address: peer.publicIp, mac: peer.mac }),
    () => {
      const found = entry === undefined ? "missing" : `wrong (${forwardingText(entry)})`;
      return `forwarding entry ${peer.mac} to ${formatIp(peer.publicIp)} ${found}`;
    },
  );
}

function planNeighbor(peer: Peer, entry: Neighbor | undefined, interfaceIndex: number): Change | undefined {
  if (entry !== undefined && neighborMatches(entry, peer)) return undefined;
  return new PeerChange(
    peer,
    () => replaceNeighbor({ interfaceIndex, address: peer.subnet.address, mac: peer.mac }),
    () => {
      const found = entry === undefined ? "missing" : `wrong (${neighborText(entry)})`;
      return `neighbour ${peer.base} with MAC ${peer.mac} ${found}`;
    },
  );
}

/** What stands in the route's place is replaced, whoever made it, in one step: no packet finds no route. */
function planRoute(peer: Peer, route: Route | undefined, interfaceIndex: number): Change | undefined {
  if (route !== undefined && routeMatches(route, peer)) return undefined;
  return new PeerChange(
    peer,
    () => replaceRoute(peerRoute(peer, interfaceIndex)),
    () => {
      const found = route === undefined ? "missing" : `wrong (${routeText(route)})`;
      return `route ${peer.subnetText} ${found}`;
    },
  );
}

function removeRoute(route: Route): readonly Change[] {
  const { interfaceIndex } = route;
  if (interfaceIndex === undefined) return [];
  return [removal(`route ${formatCidr(route.destination)}`, deleteRoute({ ...route, interfaceIndex }))];
}

function removeNeighbor({ address, mac, interfaceIndex }: Neighbor): readonly Change[] {
  if (address === undefined || mac === undefined) return [];
  return [removal(`neighbour ${formatIp(address)} with MAC ${mac}`, deleteNeighbor({ interfaceIndex, address, mac }))];
}

function removeForwarding({ address, mac, interfaceIndex }: Neighbor): readonly Change[] {
  if (address === undefined || mac === undefined) return [];
  const subject = `forwarding entry ${mac} to ${formatIp(address)}`;
  return [removal(subject, deleteForwarding({ interfaceIndex, address, mac }))];
}

/** What a peer's entry lacks. Text and request are made when somebody asks: there may be thousands. */
class PeerChange implements Change {
  readonly peer: string;
  readonly removal = false;
  readonly #build: () => Request;
  readonly #describe: () => string;

  constructor(peer: Peer, build: () => Request, describe: () => string) {
    this.peer = peer.subnetText;
    this.#build = build;
    this.#describe = describe;
  }

  get problem(): string {
    return this.#describe();
  }

  get requests(): readonly Request[] {
    return [this.#build()];
  }
}

function removal(subject: string, request: Request): Change {
  return { problem: `${subject} that no lease asks for`, peer: undefined, removal: true, requests: [request] };
}

function neighborText({ mac, state }: Neighbor): string {
  return `${mac ?? "no MAC"}${isPermanent({ state }) ? "" : ", not permanent"}`;
}

function forwardingText({ address, state, port, vni, viaIndex }: Neighbor): string {
  const words = [address === undefined ? "no address" : `to ${formatIp(address)}`];
  if (port !== undefined) words.push(`port ${port}`);
  if (vni !== undefined) words.push(`VNI ${vni}`);
  if (viaIndex !== undefined) words.push(`through device #${viaIndex}`);
  if (!isPermanent({ state })) words.push("not permanent");
  return words.join(", ");
}

function routeText({ gateway, protocol, onLink, mtu }: Route): string {
  const words = [gateway === undefined ? "no gateway" : `via ${formatIp(gateway)}`, `protocol ${protocol}`];
  if (!onLink) words.push("not onlink");
  if (mtu !== undefined) words.push(`mtu ${mtu}`);
  return words.join(", ");
}

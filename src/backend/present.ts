import type { Family } from "../addr/ip.ts";
import { type Address, listAddresses } from "../netlink/address.ts";
import { findLink, type Link } from "../netlink/link.ts";
import { listForwarding, listNeighbors, type Neighbor } from "../netlink/neighbor.ts";
import { listRoutes, type Route } from "../netlink/route.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";

/** What the kernel holds of an overlay: the device of that name, and all that hangs on it. Nothing else is read. */
export interface Present {
  readonly device: Link | undefined;
  readonly addresses: readonly Address[];
  readonly routes: readonly Route[];
  readonly neighbors: readonly Neighbor[];
  readonly forwarding: readonly Neighbor[];
}

/** Reads the state of the device with this name. Throws a NetlinkError. */
export function readPresent(socket: NetlinkSocket, family: Family, name: string): Present {
  const device = findLink(socket, { name });
  // What a device of another kind has is not ours.
  if (device?.vxlan === undefined) return { device, addresses: [], routes: [], neighbors: [], forwarding: [] };
  return {
    device,
    addresses: listAddresses(socket, device.index, family),
    routes: listRoutes(socket, family, device.index),
    neighbors: listNeighbors(socket, family, device.index),
    forwarding: listForwarding(socket, device.index),
  };
}

import { isDeviceMac } from "../backend/vxlan-data.ts";
import { vxlanDeviceName } from "../backend/wanted.ts";
import { readPreviousSubnets } from "../lease/subnet-file.ts";
import { listAddresses } from "../netlink/address.ts";
import { findLink, listLinks } from "../netlink/link.ts";
import { findRouteTo, listRoutes } from "../netlink/route.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import type { Host } from "./interface.ts";
import type { NodeMemory } from "./own-lease.ts";

/** The host as the kernel tells it, anew for each question. */
export function kernelHost(socket: NetlinkSocket): Host {
  return {
    addresses: () => listAddresses(socket, 0, 4),
    routes: () => listRoutes(socket, 4),
    findLink: (id) => findLink(socket, id),
    links: () => listLinks(socket),
    findRouteTo: (address) => findRouteTo(socket, address),
  };
}

/** What an earlier process left: subnet.env, and the device. */
export function nodeMemory(socket: NetlinkSocket, subnetFile: string): NodeMemory {
  return {
    previousSubnets: () => readPreviousSubnets(subnetFile),
    findDeviceMac: (vni) => {
      const device = findLink(socket, { name: vxlanDeviceName(4, vni) });
      return device?.vxlan !== undefined && device.mac !== undefined && isDeviceMac(device.mac)
        ? device.mac
        : undefined;
    },
  };
}

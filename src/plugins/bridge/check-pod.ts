import { cidrEquals, formatCidr, networkOf } from "../../addr/cidr.ts";
import { familyBits, formatIp, ipEquals } from "../../addr/ip.ts";
import type { CniResult, CniRoute } from "../../cni/result.ts";
import { listAddresses } from "../../netlink/address.ts";
import type { Link } from "../../netlink/link.ts";
import { listRoutes, type Route } from "../../netlink/route.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";

/**
 * Compares the addresses and routes of a container with a result; the socket is the container's. Other plugins may have
 * added more of both. Throws an Error for the first that is missing.
 */
export function checkAddressing(socket: NetlinkSocket, link: Link, { ips, routes }: CniResult): void {
  const present = listAddresses(socket, link.index);
  for (const { address, gateway } of ips) {
    if (!present.some((entry) => cidrEquals(entry.address, address))) {
      throw new Error(`Failed to match addr ${formatCidr(address)} on interface ${link.name}`);
    }
    // An address alone in its subnet brings no route in the main table.
    if (address.prefixLength === familyBits(address.family)) continue;
    if (!listRoutes(socket, address.family).some((route) => cidrEquals(route.destination, networkOf(address)))) {
      const via = gateway === undefined ? "<nil>" : formatIp(gateway);
      throw new Error(`Failed to find Gateway ${via} for interface ${link.name}`);
    }
  }
  for (const route of routes) {
    const table = listRoutes(socket, route.destination.family, undefined, route.table);
    if (!table.some((entry) => isRoute(entry, route))) {
      throw new Error(`Expected Route ${routeText(route)} not found in routing table`);
    }
  }
}

/** A route over several next hops, as two equal ones become, tells no gateway of its own. */
function isRoute(present: Route, wanted: CniRoute): boolean {
  if (!cidrEquals(networkOf(present.destination), networkOf(wanted.destination))) return false;
  if (wanted.gateway === undefined || present.interfaceIndex === undefined) return true;
  return present.gateway !== undefined && ipEquals(present.gateway, wanted.gateway);
}

function routeText({ destination, gateway }: CniRoute): string {
  return gateway === undefined ? formatCidr(destination) : `${formatCidr(destination)} via ${formatIp(gateway)}`;
}

/** Routes as `ip route show` prints them. */
import { formatCidr } from "../../addr/cidr.ts";
import { familyBits, type Family, formatIp } from "../../addr/ip.ts";
import { RT_SCOPE_UNIVERSE, RTPROT_BOOT } from "../../netlink/constants.ts";
import { listLinks } from "../../netlink/link.ts";
import { isDefaultRoute, listRoutes, type Route } from "../../netlink/route.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import { scopeName } from "./scope.ts";

/** iproute2's own table of names (rt_protos), as far as these occur on a node. */
const protocolNames: ReadonlyMap<number, string> = new Map([
  [1, "redirect"],
  [2, "kernel"],
  [3, "boot"],
  [4, "static"],
  [9, "ra"],
  [16, "dhcp"],
]);

/** The main table. Like: ip -4|-6 route show */
export function routeLines(socket: NetlinkSocket, family: Family): readonly string[] {
  const names = new Map(listLinks(socket).map((link) => [link.index, link.name]));
  return listRoutes(socket, family).map((route) => routeLine(route, names));
}

/** `10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink`; what has the usual value is left out, as `ip` does. */
function routeLine(route: Route, names: ReadonlyMap<number, string>): string {
  const words = [destinationText(route)];
  if (route.gateway !== undefined) words.push("via", formatIp(route.gateway));
  if (route.interfaceIndex !== undefined)
    words.push("dev", names.get(route.interfaceIndex) ?? `#${route.interfaceIndex}`);
  if (route.protocol !== RTPROT_BOOT) words.push("proto", protocolNames.get(route.protocol) ?? String(route.protocol));
  if (route.scope !== RT_SCOPE_UNIVERSE) words.push("scope", scopeName(route.scope));
  if (route.source !== undefined) words.push("src", formatIp(route.source));
  if (route.priority !== 0) words.push("metric", String(route.priority));
  if (route.onLink) words.push("onlink");
  if (route.mtu !== undefined) words.push("mtu", String(route.mtu));
  if (route.advmss !== undefined) words.push("advmss", String(route.advmss));
  return words.join(" ");
}

function destinationText(route: Route): string {
  const { destination } = route;
  if (isDefaultRoute(destination)) return "default";
  if (destination.prefixLength === familyBits(destination.family)) return formatIp(destination.address);
  return formatCidr(destination);
}

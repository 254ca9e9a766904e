import type { Cidr } from "../../addr/cidr.ts";
import { families, type Family, type IpAddress } from "../../addr/ip.ts";
import type { CniIp, CniRoute } from "../../cni/result.ts";
import { addAddress } from "../../netlink/address.ts";
import { changeLink, findLink, type Link } from "../../netlink/link.ts";
import type { Request } from "../../netlink/message.ts";
import { addRoute, isDefaultRoute, routeSpec } from "../../netlink/route.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { inNetns, type Netns, openNetns } from "../../sys/netns.ts";
import { tryToWriteSysctl, writeSysctl } from "../../sys/sysctl.ts";
import { waitForDetection } from "./detection.ts";

/** What the container's interface is to have. */
export interface PodAddressing {
  readonly interfaceName: string;
  readonly ips: readonly CniIp[];
  readonly routes: readonly CniRoute[];
  /** True when the kernel is to look for duplicates of the IPv6 addresses before they are used. */
  readonly detectDuplicates: boolean;
}

/** Opens the container's namespace, which has to be there. Throws an Error in the reference's words. */
export function openPodNetns(path: string): Netns {
  try {
    return openNetns(path);
  } catch (error) {
    throw new Error(`failed to open netns "${path}"`, { cause: error });
  }
}

/**
 * Gives the container's interface its addresses, starts it and adds its routes, in one send. The addresses come before
 * the start, so that arp_notify announces them when the link comes up.
 */
export function configurePod(netns: Netns, addressing: PodAddressing): void {
  inNetns(netns, () => {
    using socket = new NetlinkSocket();
    const link = findLink(socket, { name: addressing.interfaceName });
    if (link === undefined) throw new Error(`Cannot find ${addressing.interfaceName} in ${netns.path}: it vanished`);
    // What has no addresses of ours is somebody else's to set up, as with the reference.
    if (addressing.ips.length > 0) writeSettings(addressing);
    const interfaceIndex = link.index;
    const { ips, routes, detectDuplicates } = addressing;
    const start = [
      ...ips.map(({ address }) => addAddress({ interfaceIndex, address, detectDuplicates })),
      changeLink({ index: interfaceIndex }, { up: true }),
    ];
    const last = routes.map((route) => addRoute(podRoute(route, ips, interfaceIndex)));
    if (detectDuplicates) {
      socket.batchOrThrow(start);
      waitForDetection(socket, link);
      addRoutes(socket, link, [], last);
    } else {
      addRoutes(socket, link, start, last);
    }
  });
}

/** Sends what comes before the routes and the routes at once. A refusal names the device as people know it. */
function addRoutes(socket: NetlinkSocket, link: Link, before: readonly Request[], routes: readonly Request[]): void {
  const [refusal] = socket.batch([...before, ...routes]);
  if (refusal === undefined) return;
  if (refusal.index < before.length) throw refusal.error;
  throw new Error(`failed to add route: ${refusal.error.message.replace(`dev #${link.index}`, `dev ${link.name}`)}`);
}

/** The routes of the result, and a default route for each family that has a gateway and no default route with one. */
export function routesWithDefaults(ips: readonly CniIp[], routes: readonly CniRoute[]): CniRoute[] {
  const all = [...routes];
  for (const family of families) {
    const gateway = gatewayOf(ips, family);
    const destination = defaultDestination(family);
    const has = routes.some(
      (r) => r.destination.family === family && isDefaultRoute(r.destination) && r.gateway !== undefined,
    );
    if (gateway !== undefined && !has) all.push({ ...emptyRoute, destination, gateway });
  }
  return all;
}

const emptyRoute = { mtu: undefined, advmss: undefined, priority: undefined, table: undefined, scope: undefined };

function podRoute(route: CniRoute, ips: readonly CniIp[], interfaceIndex: number): ReturnType<typeof routeSpec> {
  const gateway = route.gateway ?? gatewayOf(ips, route.destination.family);
  return routeSpec({
    destination: route.destination,
    gateway,
    interfaceIndex,
    mtu: route.mtu,
    advmss: route.advmss,
    ...(route.priority === undefined ? {} : { priority: route.priority }),
    ...(route.table === undefined ? {} : { table: route.table }),
    ...(route.scope === undefined ? {} : { scope: route.scope }),
  });
}

function gatewayOf(ips: readonly CniIp[], family: Family): IpAddress | undefined {
  for (const { address, gateway } of ips) if (address.family === family && gateway !== undefined) return gateway;
  return undefined;
}

function defaultDestination(family: Family): Cidr {
  return { family, address: { family, bytes: new Uint8Array(family === 4 ? 4 : 16) }, prefixLength: 0 };
}

/**
 * arp_notify announces the address; accept_dad 0 keeps a hairpin port from reflecting the detection of duplicates, which
 * would disable the interface. Both best effort, as upstream; IPv6 must be on for an IPv6 address.
 */
function writeSettings(addressing: PodAddressing): void {
  const { interfaceName } = addressing;
  tryToWriteSysctl(`net/ipv4/conf/${interfaceName}/arp_notify`, "1");
  if (addressing.detectDuplicates) tryToWriteSysctl(`net/ipv6/conf/${interfaceName}/enhanced_dad`, "1");
  tryToWriteSysctl(`net/ipv6/conf/${interfaceName}/accept_dad`, addressing.detectDuplicates ? "1" : "0");
  if (!addressing.ips.some((ip) => ip.address.family === 6)) return;
  writeSysctl(`net/ipv6/conf/lo/disable_ipv6`, "0");
  writeSysctl(`net/ipv6/conf/${interfaceName}/disable_ipv6`, "0");
  writeSysctl(`net/ipv6/conf/${interfaceName}/keep_addr_on_down`, "1");
}

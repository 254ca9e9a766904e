import type { HostPort } from "../../firewall/host-ports.ts";
import { ipProtocols } from "../../firewall/ip-protocols.ts";
import { formatIp, ipEquals } from "../../addr/ip.ts";
import { listFlows, removeFlow } from "../../netlink/conntrack.ts";
import { findDestination } from "../../netlink/route-lookup.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";

/** The two kernel interfaces that are asked. */
export interface Sockets {
  readonly netfilter: NetlinkSocket;
  readonly route: NetlinkSocket;
}

/**
 * Has connection tracking forget the UDP flows to these host ports, which would go on where they went before. Flows that
 * were sent to the same port of another host are not touched.
 */
export function forgetFlows({ netfilter, route }: Sockets, hostPorts: readonly HostPort[]): void {
  const local = new Map<string, boolean>();
  for (const { family, address, protocol, port } of hostPorts) {
    if (protocol !== ipProtocols.udp) continue;
    for (const flow of listFlows(netfilter, { family, protocol, port })) {
      if (address !== undefined && !ipEquals(address, flow.destination)) continue;
      const text = formatIp(flow.destination);
      const isLocal = local.get(text) ?? findDestination(route, flow.destination)?.local === true;
      local.set(text, isLocal);
      if (isLocal) removeFlow(netfilter, flow);
    }
  }
}

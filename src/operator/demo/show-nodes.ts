/** The steps that show the nodes, what their daemons wrote, and what they programmed into the kernel. */
import { readText } from "../../sys/file.ts";
import { listDirectory } from "../../sys/directory.ts";
import { linkAndAddressLines } from "../iproute/link.ts";
import { forwardingLines, neighborLines } from "../iproute/neighbor.ts";
import { routeLines } from "../iproute/route.ts";
import type { DemoNode } from "./node.ts";
import type { Place } from "./place.ts";
import { nodeInterface, tunnelDevice } from "./plan.ts";
import type { Screen } from "./screen.ts";
import type { Space } from "./space.ts";
import { indexOf } from "./underlay.ts";

/** The machines before anything of flannel is on them. */
export function showMachines(screen: Screen, spaces: readonly Space[]): void {
  screen.heading(
    "The nodes",
    "Two network namespaces stand for two machines; a bridge in a third one joins them, as a switch does.",
  );
  for (const space of spaces) showLink(screen, space, nodeInterface);
}

/** What the daemons agreed on through the directory, and what each left for the CNI plugin. */
export function showLeases(screen: Screen, place: Place, nodes: readonly DemoNode[]): void {
  screen.heading(
    "The leases",
    "A flanneld on each node takes a subnet of its own for its pods. This directory is all they share; it has the form",
    "of flannel's keys in etcd. Each daemon writes its own part into subnet.env, for the CNI plugin.",
  );
  const [first] = nodes;
  const where = first?.space.name ?? "";
  showFile(screen, where, `${place.leases}/config`);
  const subnets = `${place.leases}/subnets`;
  for (const name of (listDirectory(subnets) ?? []).toSorted()) showFile(screen, where, `${subnets}/${name}`);
  for (const node of nodes) showFile(screen, node.space.name, node.subnetFile);
}

/** The tunnel device of each node. */
export function showTunnels(screen: Screen, nodes: readonly DemoNode[]): void {
  screen.heading(
    tunnelDevice,
    "The daemon's VXLAN device: what is routed into it leaves the node inside UDP. The outer headers take 50 bytes of",
    "the 1500 that the nodes' network carries, so 1450 are left.",
  );
  for (const node of nodes) showLink(screen, node.space, tunnelDevice);
}

/** How the nodes reach each other's pods. */
export function showPaths(screen: Screen, nodes: readonly DemoNode[]): void {
  screen.heading(
    "The way to the other node's pods",
    `A route into ${tunnelDevice}; the MAC address behind its gateway; and the machine which has that MAC address.`,
  );
  for (const { space } of nodes) {
    const tunnel = indexOf(space, tunnelDevice);
    screen.block(space.name, "ip route show", routeLines(space.netlink, 4));
    screen.block(space.name, `ip -4 neigh show dev ${tunnelDevice}`, neighborLines(space.netlink, 4, tunnel));
    screen.block(space.name, `bridge fdb show dev ${tunnelDevice}`, forwardingLines(space.netlink, tunnel));
  }
}

/** A device with its addresses. */
export function showLink(screen: Screen, space: Space, name: string): void {
  screen.block(space.name, `ip -d addr show dev ${name}`, linkAndAddressLines(space.netlink, name));
}

/** A file as it is. */
export function showFile(screen: Screen, where: string, path: string): void {
  screen.block(where, `cat ${path}`, fileLines(readText(path)));
}

/** The lines of a text, which may end in a newline or not, and each in CR LF. */
export function fileLines(text: string): readonly string[] {
  return text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
}

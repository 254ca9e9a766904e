/** A node of the demo: a namespace on the switch with a flanneld in it. */
import { RTNLGRP_IPV4_ROUTE, RTNLGRP_LINK, RTNLGRP_NEIGH } from "../../netlink/constants.ts";
import { NetlinkEvents } from "../../netlink/events.ts";
import { findLink } from "../../netlink/link.ts";
import { listForwarding, listNeighbors } from "../../netlink/neighbor.ts";
import { listRoutes } from "../../netlink/route.ts";
import { type BackgroundChild, startChild } from "../../sys/child.ts";
import { findText } from "../../sys/file.ts";
import { inNetns } from "../../sys/netns.ts";
import { DirectoryWatcher, inotify } from "../../sys/watch.ts";
import type { Interruption } from "./interruption.ts";
import { nodeDirectory, type Place } from "./place.ts";
import { nodeInterface, type NodePlan, tunnelDevice } from "./plan.ts";
import type { Space } from "./space.ts";
import { waitUntil } from "./wait.ts";

/** Far more than it takes; after it something is wrong. */
const timeoutMilliseconds = 10_000;

/** A node with its daemon. */
export interface DemoNode {
  readonly plan: NodePlan;
  readonly space: Space;
  /** Holds what differs from the other node's. */
  readonly directory: string;
  readonly subnetFile: string;
  readonly daemon: BackgroundChild;
}

/** The file a node's daemon writes its log lines to. */
export function logPath(place: Place, node: string): string {
  return `${nodeDirectory(place, node)}/flanneld.log`;
}

/** The command line of a node's daemon; by it the removal finds the daemon again. */
export function daemonArgv(place: Place, node: string): readonly string[] {
  const subnetFile = `${nodeDirectory(place, node)}/subnet.env`;
  return [
    `${place.programs}/flanneld`,
    "--lease-dir",
    place.leases,
    "--iface",
    nodeInterface,
    "--ip-masq",
    "--subnet-file",
    subnetFile,
  ];
}

/** Starts a node's daemon and waits until it has written subnet.env. */
export async function startNode(
  place: Place,
  plan: NodePlan,
  space: Space,
  interruption: Interruption,
): Promise<DemoNode> {
  const directory = nodeDirectory(place, plan.name);
  const argv = daemonArgv(place, plan.name);
  const daemon = startChild({ argv, netns: space.netns, environment: {} }, logPath(place, plan.name));
  const node = { plan, space, directory, subnetFile: `${directory}/subnet.env`, daemon };
  using watcher = new DirectoryWatcher();
  const events = inotify.IN_CREATE | inotify.IN_CLOSE_WRITE | inotify.IN_MOVED_TO;
  const wait = {
    what: `the daemon of ${plan.name} writes subnet.env`,
    look: (): boolean => findText(node.subnetFile) !== undefined,
    watch: (lookAgain: () => void): Disposable => watcher.add(directory, events, lookAgain),
    failed: daemonFailure(node),
    timeoutMilliseconds,
  };
  await waitUntil(wait, interruption);
  return node;
}

/** Waits until a node's kernel knows the way to so many other nodes: a route, a neighbour and a forwarding entry each. */
export async function waitForPeers(node: DemoNode, peers: number, interruption: Interruption): Promise<void> {
  const { space } = node;
  const wait = {
    what: `${space.name} knows the way to the other nodes`,
    look: (): boolean => countPeers(space) >= peers,
    watch: (lookAgain: () => void): Disposable => {
      const groups = [RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE];
      return inNetns(space.netns, () => new NetlinkEvents(groups, { event: lookAgain, lost: lookAgain }));
    },
    failed: daemonFailure(node),
    timeoutMilliseconds,
  };
  await waitUntil(wait, interruption);
}

function countPeers({ netlink }: Space): number {
  const index = findLink(netlink, { name: tunnelDevice })?.index;
  if (index === undefined) return 0;
  const routes = listRoutes(netlink, 4, index).filter((route) => route.gateway !== undefined);
  return Math.min(routes.length, listNeighbors(netlink, 4, index).length, listForwarding(netlink, index).length);
}

async function daemonFailure({ plan, daemon }: Pick<DemoNode, "plan" | "daemon">): Promise<Error> {
  const exitCode = await daemon.ended;
  return new Error(`Cannot go on without the daemon of ${plan.name}: it has ended with exit code ${exitCode}`);
}

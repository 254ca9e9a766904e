import { formatCidr } from "../../src/addr/cidr.ts";
import { formatIp } from "../../src/addr/ip.ts";
import { findDecodedAddress } from "../../src/netlink/address.ts";
import * as k from "../../src/netlink/constants.ts";
import { type EventListener, NetlinkEvents } from "../../src/netlink/events.ts";
import { decodeLink } from "../../src/netlink/link.ts";
import type { Reply } from "../../src/netlink/message.ts";
import { decodeNeighbor } from "../../src/netlink/neighbor.ts";
import { findDecodedRoute } from "../../src/netlink/route.ts";
import { inNetns } from "../../src/sys/netns.ts";
import { eventually } from "./eventually.ts";
import { openNetns } from "./netlink-socket.ts";
import type { TestNetns } from "./netns.ts";

/** Listens in a test's namespace; the test process is inside only while it opens the socket. */
export function openEvents(netns: TestNetns, groups: readonly number[], listener: EventListener): NetlinkEvents {
  using namespace = openNetns(netns);
  return inNetns(namespace, () => new NetlinkEvents(groups, listener));
}

/** An event as a line such as `+route 10.0.0.0/24`. */
export function describeEvent(message: Reply): string {
  switch (message.type) {
    case k.RTM_NEWLINK:
    case k.RTM_DELLINK:
      return `${message.type === k.RTM_NEWLINK ? "+" : "-"}link ${decodeLink(message).name}`;
    case k.RTM_NEWADDR:
    case k.RTM_DELADDR: {
      const address = findDecodedAddress(message)?.address;
      return `${message.type === k.RTM_NEWADDR ? "+" : "-"}address ${address === undefined ? "?" : formatCidr(address)}`;
    }
    case k.RTM_NEWROUTE:
    case k.RTM_DELROUTE: {
      const destination = findDecodedRoute(message)?.destination;
      const text = destination === undefined ? "?" : formatCidr(destination);
      return `${message.type === k.RTM_NEWROUTE ? "+" : "-"}route ${text}`;
    }
    case k.RTM_NEWNEIGH:
    case k.RTM_DELNEIGH: {
      const { address } = decodeNeighbor(message);
      return `${message.type === k.RTM_NEWNEIGH ? "+" : "-"}neighbour ${address === undefined ? "?" : formatIp(address)}`;
    }
    default:
      return `type ${message.type}`;
  }
}

/** Collects what it is told; what the kernel does for IPv6 by itself is left out. */
export class EventRecorder implements EventListener {
  readonly lines: string[] = [];
  losses = 0;

  event(message: Reply): void {
    const line = describeEvent(message);
    if (!/ (?:fe80:|ff0|::)/.test(line)) this.lines.push(line);
  }

  lost(): void {
    this.losses++;
  }

  /** Waits until all these lines have come, and returns those of them that have. */
  async heard(wanted: readonly string[]): Promise<readonly string[]> {
    return eventually(() => Promise.resolve(wanted.filter((line) => this.lines.includes(line))), wanted);
  }
}

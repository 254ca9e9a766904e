/** The network below the pods' network: two machines on one switch, each a network namespace. */
import { localMac, type MacAddress } from "../../addr/mac.ts";
import { replaceAddress } from "../../netlink/address.ts";
import { changeLink, deleteLink, findLink } from "../../netlink/link.ts";
import { addLink, type LinkSpec } from "../../netlink/link-spec.ts";
import { errno, failedWith } from "../../sys/errno.ts";
import { nodeInterface, type NodePlan, tunnelDevice } from "./plan.ts";
import type { Space } from "./space.ts";

const bridge = "switch";

/** Makes the switch, and tries whether this kernel has what the demo needs. */
export function makeSwitch(space: Space): void {
  const mac = randomMac();
  makeLink(space, { kind: "bridge", name: bridge, mac, mtu: 0, up: true, vlanFiltering: false });
  // Tried here, since a daemon would only say so in its log.
  const vxlan = { vni: 1, port: 8472, lowerIndex: indexOf(space, bridge), learning: false, gbp: false };
  const local = { family: 4, bytes: Uint8Array.of(127, 0, 0, 1) } as const;
  makeLink(space, {
    kind: "vxlan",
    name: tunnelDevice,
    mac: randomMac(),
    mtu: 0,
    up: false,
    vxlan: { ...vxlan, local },
  });
  space.netlink.request(deleteLink({ name: tunnelDevice }));
}

/** Plugs a node into the switch and gives it its address. */
export function plugIn(switchSpace: Space, node: Space, plan: NodePlan): void {
  makeLink(switchSpace, {
    kind: "veth",
    name: plan.name,
    mac: randomMac(),
    mtu: 0,
    up: true,
    master: indexOf(switchSpace, bridge),
    peer: { name: nodeInterface, mac: randomMac(), netns: node.netns.fd },
  });
  const interfaceIndex = indexOf(node, nodeInterface);
  node.netlink.batchOrThrow([
    changeLink({ name: "lo" }, { up: true }),
    changeLink({ index: interfaceIndex }, { up: true }),
    replaceAddress({ interfaceIndex, address: plan.address }),
  ]);
}

/** The index of a device that is there. */
export function indexOf(space: Space, name: string): number {
  const link = findLink(space.netlink, { name });
  if (link === undefined) throw new Error(`Cannot find device "${name}" in ${space.name}: there is none`);
  return link.index;
}

function makeLink(space: Space, spec: LinkSpec): void {
  try {
    space.netlink.request(addLink(spec));
  } catch (error) {
    throw failedWith(error, errno.EOPNOTSUPP) ? lacksLinkKind(spec.kind, error) : error;
  }
}

/** The error of a kernel that does not know a kind of link, and could not load a module for it. */
export function lacksLinkKind(kind: LinkSpec["kind"], cause: unknown): Error {
  return new Error(`Cannot make a ${kind} device: this kernel has none (modprobe ${kind} would load the module)`, {
    cause,
  });
}

function randomMac(): MacAddress {
  return localMac(crypto.getRandomValues(new Uint8Array(6)));
}

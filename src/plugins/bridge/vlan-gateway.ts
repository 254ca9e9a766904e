import type { Cidr } from "../../addr/cidr.ts";
import { changeLink, findLink, type Link, removeLink } from "../../netlink/link.ts";
import { addLink, type VethSpec } from "../../netlink/link-spec.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import { errno, failedWith } from "../../sys/errno.ts";
import { openNetns } from "../../sys/netns.ts";
import { type Attachment, hostVethMac, hostVethName, macForAddress } from "./attachment.ts";
import type { ExtraConfig } from "./extra-config.ts";
import { type Bridge, type GatewayDevice, refuseRouterAdvertisements } from "./host.ts";
import { joinVlans } from "./port.ts";

/**
 * Makes sure of the device through which the host is gateway in a VLAN of the bridge: `<bridge>.<vlan>`, an end of a veth
 * pair whose other end is a port of the bridge in that VLAN. It outlives the pods, as the bridge does.
 */
export function ensureVlanGateway(
  socket: NetlinkSocket,
  bridge: Bridge,
  extras: ExtraConfig,
  gateway: Cidr,
): GatewayDevice {
  const name = vlanGatewayName(bridge.name, extras.vlan);
  const port = portOf(bridge, name);
  const found = findLink(socket, { name });
  const device = found ?? makePair(socket, { bridge, name, port, gateway });
  refuseRouterAdvertisements(name);
  refuseRouterAdvertisements(hostVethName(port));
  try {
    // One that another plugin made has a port of another name, and is left as it is.
    const portLink = findLink(socket, { name: hostVethName(port) });
    if (portLink?.masterIndex === bridge.index) joinVlans(socket, portLink.index, { ...extras, trunk: undefined });
    if (!device.up) socket.request(changeLink({ index: device.index }, { up: true }));
  } catch (error) {
    if (found === undefined) removeLink(socket, { index: device.index });
    throw error;
  }
  return { name, index: device.index, mac: device.mac ?? macForAddress(gateway.address) };
}

/** The device's name, by those of the bridge and the VLAN. */
export function vlanGatewayName(bridge: string, vlan: number): string {
  return `${bridge}.${vlan}`;
}

interface Pair {
  readonly bridge: Bridge;
  readonly name: string;
  readonly port: Attachment;
  readonly gateway: Cidr;
}

function makePair(socket: NetlinkSocket, { bridge, name, port, gateway }: Pair): Link {
  const own = "/proc/thread-self/ns/net";
  using netns = openNetns(own);
  const spec: VethSpec = {
    kind: "veth",
    name: hostVethName(port),
    mac: hostVethMac(port),
    mtu: bridge.mtu,
    up: true,
    master: bridge.index,
    peer: { name, mac: macForAddress(gateway.address), netns: netns.fd },
  };
  try {
    socket.request(addLink(spec));
    socket.request(changeLink({ name: spec.name }, { alias: `tartan-bridge ${name}` }));
  } catch (error) {
    // Another pod's ADD was first.
    if (!failedWith(error, errno.EEXIST)) throw error;
  }
  const made = findLink(socket, { name });
  if (made === undefined) throw new Error(`Cannot find "${name}": it vanished after it was made`);
  return made;
}

/** The pair's name and MAC address follow from the device's name, as a pod's from the attachment. */
function portOf(bridge: Bridge, name: string): Attachment {
  return { network: "", containerId: bridge.name, interfaceName: name };
}

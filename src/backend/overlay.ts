import { type Cidr, formatCidr } from "../addr/cidr.ts";
import { type ByFamily, families, type Family, formatIp, type IpAddress } from "../addr/ip.ts";
import type { MacAddress } from "../addr/mac.ts";
import type { VxlanLinkSpec } from "../netlink/link-spec.ts";
import { type RouteSpec, routeSpec } from "../netlink/route.ts";

/**
 * The protocol number of our routes: how they are told from all others. Free in the kernel's list (rtnetlink.h) and in
 * iproute2's rt_protos.
 */
export const routeProtocol = 102;

/** The device of the host that carries the outer packets. */
export interface ExternalInterface {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly addresses: ByFamily<IpAddress>;
}

/** Another node, as the kernel is to know it: its neighbour entry, its forwarding entry and its route. */
export interface Peer {
  /** The node's pods. */
  readonly subnet: Cidr;
  /** The texts of the subnet and of its first address, by which the kernel's entries are found again. */
  readonly subnetText: string;
  readonly base: string;
  /** Where the outer packets go. */
  readonly publicIp: IpAddress;
  readonly mac: MacAddress;
}

/** The kernel state wanted for one address family: a VXLAN device, its address, and its peers. */
export interface Overlay {
  readonly family: Family;
  readonly device: VxlanLinkSpec;
  /** The node's own subnet; its first address, alone, is the device's. */
  readonly subnet: Cidr;
  readonly address: Cidr;
  /** The network of the whole cluster: addresses in it are flannel's. */
  readonly network: Cidr;
  readonly peers: readonly Peer[];
  readonly peersBySubnet: ReadonlyMap<string, Peer>;
  readonly peersByBase: ReadonlyMap<string, Peer>;
  readonly peersByMac: ReadonlyMap<string, Peer>;
}

/** The route to a peer: through the device to the peer's own VTEP address, which counts as on the link. */
export function peerRoute(peer: Peer, interfaceIndex: number): RouteSpec {
  return routeSpec({
    destination: peer.subnet,
    gateway: peer.subnet.address,
    interfaceIndex,
    onLink: true,
    protocol: routeProtocol,
  });
}

/** The whole wanted state as lines that read like `ip` and `bridge`. */
export function formatOverlays(overlays: ByFamily<Overlay>): string {
  return families
    .map((family) => overlays[family])
    .filter((overlay) => overlay !== undefined)
    .flatMap((overlay) => [...deviceLines(overlay), ...overlay.peers.flatMap((peer) => peerLines(overlay, peer))])
    .map((line) => `${line}\n`)
    .join("");
}

function deviceLines({ device, address }: Overlay): readonly string[] {
  const { vxlan } = device;
  const settings = [
    `id ${vxlan.vni} dev #${vxlan.lowerIndex} local ${formatIp(vxlan.local)} dstport ${vxlan.port}`,
    vxlan.learning ? "learning" : "nolearning",
    ...(vxlan.gbp ? ["gbp"] : []),
  ];
  return [
    `link ${device.name} address ${device.mac} mtu ${device.mtu} up type vxlan ${settings.join(" ")}`,
    `address ${formatCidr(address)} dev ${device.name}`,
  ];
}

function peerLines({ device }: Overlay, peer: Peer): readonly string[] {
  return [
    `neigh ${peer.base} lladdr ${peer.mac} dev ${device.name} nud permanent`,
    `fdb ${peer.mac} dst ${formatIp(peer.publicIp)} dev ${device.name} self permanent`,
    `route ${peer.subnetText} via ${peer.base} dev ${device.name} onlink proto ${routeProtocol}`,
  ];
}

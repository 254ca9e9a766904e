/** What the kernel is to hold for the vxlan backend, from the leases of all nodes; pure. */
import { type Cidr, cidrContains, cidrOf, cidrsOverlap, formatCidr } from "../addr/cidr.ts";
import { type ByFamily, type Family, formatIp, ipEquals, type IpAddress } from "../addr/ip.ts";
import type { MacAddress } from "../addr/mac.ts";
import { errorText } from "../base/error.ts";
import type { Lease } from "../lease/lease.ts";
import type { ExternalInterface, Overlay, Peer } from "./overlay.ts";
import type { VxlanOptions } from "./vxlan-config.ts";
import { decodeVtepMac } from "./vxlan-data.ts";

/** Bytes that VXLAN puts around a packet: Ethernet 14, VXLAN 8, UDP 8, and the outer IP header. */
const overhead: Readonly<Record<Family, number>> = { 4: 50, 6: 70 };

/** The name that a lease's `BackendType` has for this backend. */
export const vxlanType = "vxlan";

/** All that the wanted state follows from. */
export interface VxlanInput {
  readonly networks: ByFamily<Cidr>;
  /** This node's own subnets and hardware addresses. */
  readonly subnets: ByFamily<Cidr>;
  readonly macs: ByFamily<MacAddress>;
  /** Where others reach this node: not always an address of its own. */
  readonly publicIps: ByFamily<IpAddress>;
  readonly external: ExternalInterface;
  /** With the port as a number: 0 is nothing that a device can be compared with. */
  readonly options: VxlanOptions;
  /** The leases of the other nodes. */
  readonly leases: Iterable<Lease>;
}

/** The wanted state, and the leases that have no part in it, each with the reason. */
export interface VxlanPlan {
  readonly overlays: ByFamily<Overlay>;
  readonly skipped: readonly SkippedLease[];
}

/** A lease that cannot be used, by its key. */
export interface SkippedLease {
  readonly key: string;
  readonly reason: string;
}

/** The name of the device of one family, as upstream has it. */
export function vxlanDeviceName(family: Family, vni: number): string {
  return family === 4 ? `flannel.${vni}` : `flannel-v6.${vni}`;
}

/**
 * The MTU inside the tunnel. More than the external interface carries is not wanted: the kernel would lower it, and
 * larger packets would be lost.
 */
export function innerMtu(family: Family, options: VxlanOptions, external: ExternalInterface): number {
  const outer = options.mtu === 0 ? external.mtu : Math.min(options.mtu, external.mtu);
  return outer - overhead[family];
}

/** Plans both families; one that is off, or of which the node lacks a part, has no overlay. */
export function planVxlan(input: VxlanInput): VxlanPlan {
  const skipped = new Map<string, string>();
  // In one order on all nodes, so that of two leases that contradict each other all nodes use the same one.
  const leases = [...input.leases].toSorted((left, right) => (left.key < right.key ? -1 : 1));
  const overlays = { 4: planOverlay(4, input, { leases, skipped }), 6: planOverlay(6, input, { leases, skipped }) };
  return { overlays, skipped: Array.from(skipped, ([key, reason]) => ({ key, reason })) };
}

interface Leases {
  readonly leases: readonly Lease[];
  readonly skipped: Map<string, string>;
}

function planOverlay(family: Family, input: VxlanInput, { leases, skipped }: Leases): Overlay | undefined {
  const network = input.networks[family];
  const subnet = input.subnets[family];
  const mac = input.macs[family];
  const local = input.external.addresses[family];
  if (network === undefined || subnet === undefined || mac === undefined || local === undefined) return undefined;
  const { vni, port, learning, gbp } = input.options;
  const peersBySubnet = new Map<string, Peer>();
  const peersByBase = new Map<string, Peer>();
  const peersByMac = new Map<string, Peer>();
  const overlay: Overlay = {
    family,
    device: {
      kind: "vxlan",
      name: vxlanDeviceName(family, vni),
      mac,
      mtu: innerMtu(family, input.options, input.external),
      up: true,
      // The address of the interface, also where others reach the node by another: D32 of upstream's defects.
      vxlan: { vni, port, lowerIndex: input.external.index, local, learning, gbp },
    },
    subnet,
    address: cidrOf(subnet.address),
    network,
    peers: [],
    peersBySubnet,
    peersByBase,
    peersByMac,
  };
  for (const lease of leases) {
    try {
      const peer = peerOf(lease, overlay, [local, input.publicIps[family]]);
      peersBySubnet.set(peer.subnetText, peer);
      peersByBase.set(peer.base, peer);
      peersByMac.set(peer.mac, peer);
    } catch (error) {
      if (!(error instanceof UnusableLeaseError)) throw error;
      skipped.set(lease.key, errorText(error));
    }
  }
  return { ...overlay, peers: [...peersBySubnet.values()] };
}

/** Why a lease has no part in the wanted state. */
class UnusableLeaseError extends Error {
  override readonly name = "UnusableLeaseError";
}

function peerOf(lease: Lease, overlay: Overlay, own: readonly (IpAddress | undefined)[]): Peer {
  const { family } = overlay;
  const subnet = lease.subnets[family];
  const publicIp = lease.publicIps[family];
  if (lease.backendType !== vxlanType) refuse(`its backend is "${lease.backendType}", not "${vxlanType}"`);
  if (subnet === undefined || publicIp === undefined) return refuse(`it has no IPv${family} subnet or public IP`);
  if (own.some((address) => address !== undefined && ipEquals(address, publicIp))) {
    refuse(`its public IP ${formatIp(publicIp)} is this node's own`);
  }
  // Such a route would take what is not flannel's, or this node's own pods.
  if (subnet.prefixLength < overlay.network.prefixLength || !cidrContains(overlay.network, subnet.address)) {
    refuse(`its subnet is outside the network ${formatCidr(overlay.network)}`);
  }
  if (cidrsOverlap(subnet, overlay.subnet))
    refuse(`its subnet overlaps this node's own, ${formatCidr(overlay.subnet)}`);
  const mac = macOf(lease, family);
  if (mac === overlay.device.mac) refuse(`its VTEP MAC ${mac} is this node's own`);
  const base = formatIp(subnet.address);
  const other = overlay.peersByMac.get(mac) ?? overlay.peersByBase.get(base);
  if (other !== undefined) {
    refuse(`it has the ${other.mac === mac ? `VTEP MAC ${mac}` : `first address ${base}`} of ${other.subnetText}`);
  }
  return { subnet, subnetText: formatCidr(subnet), base, publicIp, mac };
}

function macOf(lease: Lease, family: Family): MacAddress {
  try {
    return decodeVtepMac(lease.backendData[family]);
  } catch (error) {
    throw new UnusableLeaseError(errorText(error));
  }
}

function refuse(reason: string): never {
  throw new UnusableLeaseError(reason);
}

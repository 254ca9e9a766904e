import { parseCidr } from "../../../src/addr/cidr.ts";
import { parseIp } from "../../../src/addr/ip.ts";
import { parseMac } from "../../../src/addr/mac.ts";
import type { Json } from "../../../src/base/decode.ts";
import type { Overlay } from "../../../src/backend/overlay.ts";
import type { Present } from "../../../src/backend/present.ts";
import { planVxlan, type VxlanInput } from "../../../src/backend/wanted.ts";
import { parseLeaseKey } from "../../../src/lease/key.ts";
import type { Lease } from "../../../src/lease/lease.ts";
import { NUD_PERMANENT, RT_TABLE_MAIN } from "../../../src/netlink/constants.ts";
import type { Link } from "../../../src/netlink/link.ts";
import type { Neighbor } from "../../../src/netlink/neighbor.ts";
import type { Route } from "../../../src/netlink/route.ts";

/** The index of flannel.1 in these tests. */
export const deviceIndex = 7;

/** A lease of the vxlan backend. */
export function lease(key: string, publicIp: string, data: Json | undefined, backendType = "vxlan"): Lease {
  return {
    key,
    subnets: parseLeaseKey(key),
    publicIps: { 4: parseIp(publicIp), 6: undefined },
    backendType,
    backendData: { 4: data, 6: undefined },
  };
}

/** A lease whose MAC address ends in these two digits. */
export function peerLease(third: number, mac: number = third): Lease {
  const VtepMAC = `02:00:00:00:00:${mac.toString(16).padStart(2, "0")}`;
  return lease(`10.244.${third}.0-24`, `192.168.1.${third}`, { VNI: 1, VtepMAC });
}

/** A node with the subnet 10.244.1.0/24 on eth0, 192.168.1.1, with device index 2. */
export function vxlanInput(changes: Partial<VxlanInput> = {}): VxlanInput {
  return {
    networks: { 4: parseCidr("10.244.0.0/16"), 6: undefined },
    subnets: { 4: parseCidr("10.244.1.0/24"), 6: undefined },
    macs: { 4: parseMac("02:00:00:00:00:01"), 6: undefined },
    publicIps: { 4: parseIp("192.168.1.1"), 6: undefined },
    external: { index: 2, name: "eth0", mtu: 1500, addresses: { 4: parseIp("192.168.1.1"), 6: undefined } },
    options: { vni: 1, port: 8472, mtu: 0, gbp: false, learning: false },
    leases: [],
    ...changes,
  };
}

/** The IPv4 overlay of that node with these peers. */
export function overlayOf(...peers: readonly Lease[]): Overlay {
  const overlay = planVxlan(vxlanInput({ leases: peers })).overlays[4];
  if (overlay === undefined) throw new Error("Cannot plan an overlay");
  return overlay;
}

/** flannel.1 as `overlayOf` wants it. */
export function vxlanLink(changes: Partial<Link> = {}): Link {
  return {
    index: deviceIndex,
    name: "flannel.1",
    up: true,
    loopback: false,
    promiscuous: false,
    operState: 0,
    mac: parseMac("02:00:00:00:00:01"),
    mtu: 1450,
    lowerIndex: undefined,
    peerNetnsId: undefined,
    masterIndex: undefined,
    alias: "",
    kind: "vxlan",
    vxlan: {
      vni: 1,
      port: 8472,
      lowerIndex: 2,
      local: parseIp("192.168.1.1"),
      group: undefined,
      learning: false,
      gbp: false,
    },
    bridgePort: undefined,
    ...changes,
  };
}

/** An entry as the kernel reports it. */
export function neighbor(address: string, mac: string, changes: Partial<Neighbor> = {}): Neighbor {
  return {
    interfaceIndex: deviceIndex,
    address: parseIp(address),
    mac: parseMac(mac),
    state: NUD_PERMANENT,
    port: undefined,
    vni: undefined,
    viaIndex: undefined,
    ...changes,
  };
}

/** An entry that ages: NUD_REACHABLE (include/uapi/linux/neighbour.h). */
export const reachable: Partial<Neighbor> = { state: 0x2 };

/** A route on flannel.1 as tartan makes it. */
export function route(destination: string, gateway: string | undefined, changes: Partial<Route> = {}): Route {
  return {
    destination: parseCidr(destination),
    gateway: gateway === undefined ? undefined : parseIp(gateway),
    interfaceIndex: deviceIndex,
    onLink: true,
    protocol: 102,
    scope: 0,
    table: RT_TABLE_MAIN,
    priority: 0,
    mtu: undefined,
    advmss: undefined,
    source: undefined,
    ...changes,
  };
}

/** What the kernel holds when all is as the overlay wants it. */
export function presentOf(overlay: Overlay, changes: Partial<Present> = {}): Present {
  return {
    device: vxlanLink(),
    addresses: [{ interfaceIndex: deviceIndex, address: overlay.address, scope: 0, flags: 0 }],
    routes: overlay.peers.map((peer) => route(peer.subnetText, peer.base)),
    neighbors: overlay.peers.map((peer) => neighbor(peer.base, peer.mac)),
    forwarding: overlay.peers.map(({ publicIp, mac }) => ({ ...neighbor("0.0.0.0", mac), address: publicIp })),
    ...changes,
  };
}

import { type Cidr, cidrEquals, cidrOf, cidrsOverlap, formatCidr } from "../../addr/cidr.ts";
import { localMac, type MacAddress } from "../../addr/mac.ts";
import { type Address, deleteAddress, listAddresses, replaceAddress } from "../../netlink/address.ts";
import { IFA_F_PERMANENT } from "../../netlink/constants.ts";
import { changeLink, findLink, type Link } from "../../netlink/link.ts";
import { setPromiscuous } from "../../netlink/bridge-port.ts";
import { addLink } from "../../netlink/link-spec.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import { errno, failedWith } from "../../sys/errno.ts";
import { ensureSysctl, tryToWriteSysctl } from "../../sys/sysctl.ts";
import type { BridgeConfig } from "./config.ts";
import { macForAddress } from "./attachment.ts";

/** A device that is to have the gateway addresses. */
export interface GatewayDevice {
  readonly name: string;
  readonly index: number;
  readonly mac: MacAddress;
}

/** The bridge as it stands after ensureBridge. */
export interface Bridge extends GatewayDevice {
  readonly mtu: number;
}

/**
 * No pod may tell the host its default route (CVE-2020-10749). Best effort, as upstream, and at every ADD: who made the device
 * may have left it at the kernel's default.
 */
export function refuseRouterAdvertisements(device: string): void {
  tryToWriteSysctl(`net/ipv6/conf/${device}/accept_ra`, "0");
}

/**
 * Makes the bridge if it is missing, and starts it. It gets an explicit MAC address, so that it does not take on those of
 * its ports as they come and go: the one of its first gateway address, so that pods' neighbour entries stay right even
 * when the bridge is made anew. Throws an Error when something else has the name.
 */
export function ensureBridge(socket: NetlinkSocket, config: BridgeConfig, gateways: readonly Cidr[]): Bridge {
  const name = config.bridge;
  const found = findBridge(socket, name) ?? makeBridge(socket, config, gateways);
  refuseRouterAdvertisements(name);
  if (found.mac === undefined) throw new Error(`Cannot use bridge "${name}": it has no MAC address`);
  if (!found.up) socket.request(changeLink({ index: found.index }, { up: true }));
  if (config.extras.promiscuous && !found.promiscuous) socket.request(setPromiscuous(found.index));
  return { name, index: found.index, mac: found.mac, mtu: found.mtu };
}

/**
 * Makes sure that the device has the gateway addresses. Another IPv4 address, or an IPv6 address whose subnet overlaps,
 * is in the way: with `force` it is replaced, else an error (bridge.go at v1.9.1, ensureAddr).
 */
export function ensureGateways(
  socket: NetlinkSocket,
  device: GatewayDevice,
  gateways: readonly Cidr[],
  force: boolean,
): void {
  if (gateways.length === 0) return;
  const present = listPermanent(socket, device.index);
  for (const gateway of gateways) {
    if (hasAddress(present, gateway)) continue;
    for (const entry of findObstacles(present, gateway, gateways)) {
      if (!force) throw obstacleError(device.name, gateway);
      socket.request(deleteAddress(entry));
    }
    // Written back, its MAC address is marked as set, so that a bridge that somebody else made does not take on its ports'.
    socket.request(changeLink({ index: device.index }, { mac: device.mac }));
    socket.request(replaceAddress({ interfaceIndex: device.index, address: gateway }));
  }
}

/** The addresses that a device has for good. */
export function listPermanent(socket: NetlinkSocket, index: number): readonly Address[] {
  return listAddresses(socket, index).filter(({ flags }) => (flags & IFA_F_PERMANENT) !== 0);
}

/** True when one of the addresses is the gateway's. */
export function hasAddress(present: readonly Address[], gateway: Cidr): boolean {
  return present.some(({ address }) => cidrEquals(address, gateway));
}

/** Those of a device's addresses that are in the way of a gateway that is one of several. */
export function findObstacles(
  present: readonly Address[],
  gateway: Cidr,
  gateways: readonly Cidr[],
): readonly Address[] {
  return present.filter(({ address }) => isInTheWay(address, gateway) && !isOneOf(gateways, address));
}

/** What ADD tells when the gateway cannot be had, in upstream's words. */
export function gatewayError(inVlan: boolean, cause: unknown): Error {
  const what = inVlan ? "failed to set vlan interface for bridge with addr" : "failed to set bridge addr";
  return new Error(what, { cause });
}

/** Upstream's words for such an address. */
export function obstacleError(device: string, gateway: Cidr): Error {
  return new Error(`"${device}" already has an IP address different from ${formatCidr(gateway)}`);
}

function isInTheWay(other: Cidr, gateway: Cidr): boolean {
  return other.family === gateway.family && (other.family === 4 || cidrsOverlap(other, gateway));
}

function isOneOf(cidrs: readonly Cidr[], cidr: Cidr): boolean {
  return cidrs.some((other) => cidrEquals(other, cidr));
}

/** Lets the node forward packets of the families its bridge is gateway for. */
export function ensureForwarding(gateways: readonly Cidr[]): void {
  if (gateways.some((gateway) => gateway.family === 4)) ensureSysctl("net/ipv4/ip_forward", "1");
  if (gateways.some((gateway) => gateway.family === 6)) ensureSysctl("net/ipv6/conf/all/forwarding", "1");
}

/** The gateway addresses with their subnet's prefix length, each once. */
export function gatewaysOf(
  ips: readonly { readonly address: Cidr; readonly gateway: Cidr["address"] | undefined }[],
): Cidr[] {
  const gateways: Cidr[] = [];
  for (const { address, gateway } of ips) {
    if (gateway === undefined) continue;
    const cidr = cidrOf(gateway, address.prefixLength);
    if (!gateways.some((known) => cidrEquals(known, cidr))) gateways.push(cidr);
  }
  return gateways;
}

/** Throws an Error in upstream's words for a name that the kernel does not take, or that something else has. */
export function findBridge(socket: NetlinkSocket, name: string): Link | undefined {
  let found: Link | undefined;
  try {
    found = findLink(socket, { name });
  } catch (error) {
    throw new Error(`failed to create bridge "${name}"`, { cause: error });
  }
  if (found === undefined || found.kind === "bridge") return found;
  throw new Error(`failed to create bridge "${name}": "${name}" already exists but is not a bridge`);
}

function makeBridge(socket: NetlinkSocket, config: BridgeConfig, gateways: readonly Cidr[]): Link {
  const { vlan, trunk } = config.extras;
  const vlanFiltering = vlan !== 0 || trunk !== undefined;
  // With a VLAN the gateway is another device, which has the address and the MAC address that goes with it.
  const [first] = vlan === 0 ? gateways : [];
  const mac = first === undefined ? localMac(crypto.getRandomValues(new Uint8Array(6))) : macForAddress(first.address);
  try {
    socket.request(addLink({ kind: "bridge", name: config.bridge, mac, mtu: config.mtu, up: true, vlanFiltering }));
  } catch (error) {
    // Another pod's ADD was first.
    if (!failedWith(error, errno.EEXIST)) {
      throw new Error(`failed to create bridge "${config.bridge}"`, { cause: error });
    }
  }
  const made = findBridge(socket, config.bridge);
  if (made === undefined) throw new Error(`Cannot find bridge "${config.bridge}": it vanished after it was made`);
  return made;
}

/** CHECK of the bridge plugin: the kernel against the previous result, with the reference's words (plugins v1.9.1). */
import { formatCidr } from "../../addr/cidr.ts";
import { Decoder, DecodeError, parseJson } from "../../base/decode.ts";
import { delegateCheck } from "../../cni/delegate.ts";
import type { CniRequest } from "../../cni/plugin.ts";
import type { CniInterface, CniResult } from "../../cni/result.ts";
import { listAddresses } from "../../netlink/address.ts";
import { listPortVlans } from "../../netlink/bridge-vlan.ts";
import { findLink, type Link } from "../../netlink/link.ts";
import { isIsolated } from "../../netlink/bridge-state.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { findText } from "../../sys/file.ts";
import { inNetns, type Netns } from "../../sys/netns.ts";
import { type BridgeConfig, decodeBridgeConfig, wantedMacOf } from "./config.ts";
import { checkAddressing } from "./check-pod.ts";
import { gatewaysOf, hasAddress } from "./host.ts";
import { openPodNetns } from "./pod.ts";
import { wantedVlans } from "./port.ts";
import { checkRules } from "./rules.ts";
import { vlanGatewayName } from "./vlan-gateway.ts";

/** Where the reference's tuning keeps, by attachment, what it has changed, unless it is told another place. */
const tuningDirectory = "/run/cni/tuning";

/** Throws an Error for the first thing that is missing or not as the previous result says. */
export function checkAttachment(request: CniRequest): void {
  const config = decodeBridgeConfig(request.config);
  wantedMacOf(request, config);
  using netns = openPodNetns(request.netns);
  if (config.ipamType !== "") delegateCheck(request, config.ipamType, request.config.json);
  const { prevResult } = request.config;
  if (prevResult === undefined) throw new Error("Required prevResult missing");
  using socket = new NetlinkSocket();
  using podSocket = inNetns(netns, () => new NetlinkSocket());
  const bridge = checkBridge(socket, config, prevResult);
  const container = checkContainer(podSocket, request, config, prevResult);
  checkHostVeth(socket, { config, bridge, container, netns }, prevResult);
  checkGatewayAddresses(socket, config, prevResult);
  checkAddressing(podSocket, container, prevResult);
  if (container.mac !== undefined) checkRules(request, config, { ips: prevResult.ips, mac: container.mac });
}

function checkBridge(socket: NetlinkSocket, config: BridgeConfig, { interfaces }: CniResult): Link {
  const told = interfaces.findLast(({ name }) => name === config.bridge);
  const link = requireLink(socket, told?.name ?? "");
  if (told?.sandbox !== undefined) throw new Error(`Interface ${link.name} should not be in sandbox`);
  if (link.kind !== "bridge") throw new Error(`Interface ${link.name} does not have link type of bridge`);
  if (!hasMac(link, told)) throw new Error(`Bridge interface ${link.name} Mac doesn't match: ${told?.mac}`);
  const wanted = config.extras.promiscuous;
  if (link.promiscuous !== wanted) {
    throw new Error(
      `Bridge interface ${link.name} configured Promisc Mode ${wanted} doesn't match current state: ${link.promiscuous}`,
    );
  }
  return requireUp(link);
}

function checkContainer(
  socket: NetlinkSocket,
  request: CniRequest,
  config: BridgeConfig,
  { interfaces }: CniResult,
): Link {
  const told = interfaces.findLast(({ name, sandbox }) => name === request.interfaceName && sandbox === request.netns);
  if (told === undefined) {
    const other = interfaces.findLast(({ name }) => name === request.interfaceName)?.sandbox ?? "";
    throw new Error(`Sandbox in prevResult ${other} doesn't match configured netns: ${request.netns}`);
  }
  const link = requireLink(socket, told.name);
  if (link.kind !== "veth") throw new Error(`Error: Container interface ${link.name} not of type veth`);
  if (!hasMac(link, told)) {
    throw new Error(`Interface ${link.name} Mac ${told.mac} doesn't match container Mac: ${link.mac}`);
  }
  if (!hasMtu(link, told) && !isTuned(request)) throw mtuError(link, told);
  return config.extras.containerDown ? link : requireUp(link);
}

interface Wanted {
  readonly config: BridgeConfig;
  readonly bridge: Link;
  readonly container: Link;
  readonly netns: Netns;
}

/** Of the host's devices in the result, one has to be the container's other end and a port of the bridge. */
function checkHostVeth(socket: NetlinkSocket, wanted: Wanted, { interfaces }: CniResult): void {
  const { config, bridge, container } = wanted;
  for (const told of interfaces) {
    if (told.name === bridge.name || told.name === container.name || told.sandbox !== undefined) continue;
    const link = requireLink(socket, told.name);
    if (link.kind !== "veth" || link.index !== container.lowerIndex || link.lowerIndex !== container.index) continue;
    if (link.masterIndex !== bridge.index) continue;
    if (!hasMac(link, told)) throw new Error(`Interface ${link.name} Mac doesn't match: ${told.mac} not found`);
    if (!hasMtu(link, told)) throw mtuError(link, told);
    requireUp(link);
    checkPort(socket, link, config);
    return;
  }
  throw new Error(`CNI veth created for bridge ${bridge.name} was not found`);
}

/** The port is as the configuration asks for, and in its VLANs: else it passes nothing on. The reference does not look. */
function checkPort(socket: NetlinkSocket, port: Link, { hairpin, extras }: BridgeConfig): void {
  if (hairpin && port.bridgePort?.hairpin !== true) throw new Error(`Interface ${port.name} is not in hairpin mode`);
  if (extras.portIsolation && !isIsolated(socket, port.index))
    throw new Error(`Interface ${port.name} is not isolated`);
  const wanted = wantedVlans(extras);
  if (wanted.length === 0) return;
  const present = listPortVlans(socket, port.index);
  const missing = wanted.find(({ id, native }) => !present.some((vlan) => vlan.id === id && vlan.native === native));
  if (missing !== undefined) throw new Error(`Interface ${port.name} is not in VLAN ${missing.id} as configured`);
}

/** Without them the container's gateway does not answer; the reference does not look. */
function checkGatewayAddresses(socket: NetlinkSocket, config: BridgeConfig, { interfaces, ips }: CniResult): void {
  if (!config.isGateway) return;
  const { bridge, extras } = config;
  const device = requireLink(socket, extras.vlan === 0 ? bridge : vlanGatewayName(bridge, extras.vlan));
  const present = listAddresses(socket, device.index);
  // What later plugins have added goes its own ways.
  const own = ips.filter(({ interfaceIndex = -1 }) => interfaces[interfaceIndex]?.sandbox !== undefined);
  const missing = gatewaysOf(own).find((gateway) => !hasAddress(present, gateway));
  if (missing !== undefined)
    throw new Error(`Failed to find Gateway ${formatCidr(missing)} on interface ${device.name}`);
}

/** Tuning, later in the chain, changes the container's end, and leaves the result as it was; its file tells. */
function isTuned({ containerId, interfaceName }: CniRequest): boolean {
  const file = findText(`${tuningDirectory}/${containerId}_${interfaceName}.json`);
  if (file === undefined) return false;
  try {
    return !new Decoder(parseJson(file)).field("mtu").absent;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

function requireLink(socket: NetlinkSocket, name: string): Link {
  if (name === "") throw new Error("Interface name missing");
  const link = findLink(socket, { name });
  if (link === undefined) throw new Error(`Interface name ${name} not found`);
  return link;
}

function requireUp(link: Link): Link {
  if (!link.up) throw new Error(`Interface ${link.name} is down`);
  return link;
}

/** A result without MAC address asks for none. */
function hasMac(link: Link, told: CniInterface | undefined): boolean {
  return told?.mac === undefined || told.mac.toLowerCase() === link.mac;
}

/** Results of versions before 1.1.0 tell no MTU. */
function hasMtu(link: Link, told: CniInterface): boolean {
  return told.mtu === undefined || told.mtu === link.mtu;
}

function mtuError(link: Link, told: CniInterface): Error {
  return new Error(`Interface ${link.name} MTU ${told.mtu} doesn't match current MTU: ${link.mtu}`);
}

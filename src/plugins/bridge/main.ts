import { type Cidr, firstHost, networkOf } from "../../addr/cidr.ts";
import type { MacAddress } from "../../addr/mac.ts";
import { runAll } from "../../base/run-all.ts";
import { Undo } from "../../base/undo.ts";
import { delegateAdd, delegateDel, delegateGc, delegateStatus } from "../../cni/delegate.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import type { CniGcRequest, CniNetworkRequest, CniPlugin, CniRequest } from "../../cni/plugin.ts";
import type { CniInterface, CniIp, CniResult } from "../../cni/result.ts";
import { notAvailableUnless } from "../../cni/status.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { findNetns, type Netns, NotANamespaceError } from "../../sys/netns.ts";
import {
  type Attachment,
  attachmentOf,
  hostVethMac,
  hostVethName,
  macForAddress,
  macForAttachment,
} from "./attachment.ts";
import { checkAttachment } from "./check.ts";
import { type BridgeConfig, decodeBridgeConfig, ipamTypeOf, wantedMacOf } from "./config.ts";
import { noExtras } from "./extra-config.ts";
import { removeStaleVeths } from "./gc.ts";
import { type Bridge, ensureBridge, ensureForwarding, ensureGateways, type GatewayDevice, gatewaysOf } from "./host.ts";
import { configurePod, openPodNetns, routesWithDefaults } from "./pod.ts";
import { configurePort } from "./port.ts";
import { addRules, removeReferenceRules, removeRules, removeStaleRules } from "./rules.ts";
import { addVeth, removeContainerInterface, removeHostVeth, waitUntilRunning } from "./veth.ts";
import { ensureVlanGateway } from "./vlan-gateway.ts";

/** The bridge plugin: joins a container to a bridge of the host by a veth pair. */
export const bridge: CniPlugin = {
  name: "bridge",
  about: "CNI bridge plugin of tartan",
  add,
  del,
  check: checkAttachment,
  gc,
  status,
};

/** Checks everything, reserves the addresses, then makes the links; a failure undoes the steps in reverse. */
function add(request: CniRequest): CniResult {
  const config = decodeBridgeConfig(request.config);
  const { extras } = config;
  const attachment = attachmentOf(request);
  const wantedMac = wantedMacOf(request, config);
  using netns = openPodNetns(request.netns);
  // Declared before the steps to undo, so that it is still open when they run.
  using socket = new NetlinkSocket();
  using undo = new Undo();
  const ipam = reserve(request, config, undo);
  const gateways = config.isGateway ? gatewaysOf(ipam.ips) : [];
  const device = ensureBridge(socket, config, gateways);
  const vlanGateway = setGateways(socket, config, device, gateways);
  const containerMac = wantedMac ?? usualMac(attachment, ipam.ips);
  // Before it is made: where the kernel's answer is lost, nobody knows whether it was.
  undo.defer(() => removeHostVeth(socket, attachment));
  addVeth(socket, attachment, { bridge: device, netns, containerMac, mtu: config.mtu, hairpin: config.hairpin });
  if (extras !== noExtras) configurePort(socket, hostVethName(attachment), extras);
  const routes = config.isDefaultGateway ? routesWithDefaults(ipam.ips, ipam.routes) : ipam.routes;
  if (!extras.containerDown) {
    const { detectDuplicates } = extras;
    configurePod(netns, { interfaceName: request.interfaceName, ips: ipam.ips, routes, detectDuplicates });
    waitUntilRunning(socket, attachment);
  }
  addRules(request, config, { ips: ipam.ips, mac: containerMac }, undo);
  undo.keep();
  return {
    interfaces: interfacesOf(attachment, { config, device, containerMac, netns, vlanGateway }),
    ips: ipam.ips,
    routes,
    dns: config.dns ?? ipam.dns,
  };
}

/**
 * Frees all that ADD made, whatever is missing of it: the link by the name only this attachment can have, or, made by
 * another bridge plugin, by its name in the container; then the addresses, which nobody may get before the link is gone.
 */
function del(request: CniRequest): void {
  const ipamType = ipamTypeOf(request.config);
  runAll([
    // The kernel frees them in the time that the links take to go.
    (): void => removeRules(request),
    (): void => {
      if (!removeLinks(request)) removeReferenceRules(request);
    },
    (): void => {
      if (ipamType !== "") delegateDel(request, ipamType, request.config.json);
    },
  ]);
}

/** Frees the links and, behind them, the addresses of attachments that the runtime no longer knows. */
function gc(request: CniGcRequest): void {
  const ipamType = ipamTypeOf(request.config);
  runAll([
    (): void => removeStaleVeths(request),
    (): void => removeStaleRules(request),
    (): void => {
      if (ipamType !== "") delegateGc(request, ipamType, request.config.json);
    },
  ]);
}

/** The bridge makes all it needs, so that the configuration and the IPAM plugin decide. */
function status(request: CniNetworkRequest): void {
  const { ipamType } = notAvailableUnless(() => decodeBridgeConfig(request.config));
  if (ipamType !== "") delegateStatus(request, ipamType, request.config.json);
}

function reserve(request: CniRequest, config: BridgeConfig, undo: Undo): CniResult {
  if (config.ipamType === "") return { interfaces: [], ips: [], routes: [], dns: undefined };
  const result = delegateAdd(request, config.ipamType, request.config.json);
  undo.defer(() => delegateDel(request, config.ipamType, request.config.json));
  if (result.ips.length === 0) throw new CniError(cniCode.internal, "IPAM plugin returned missing IP config");
  return { ...result, ips: result.ips.map((ip) => containerIp(ip, config)) };
}

/** The address belongs to the third interface of the result; a gateway's default is the subnet's first address. */
function containerIp(ip: CniIp, config: BridgeConfig): CniIp {
  const gateway = ip.gateway ?? (config.isGateway ? firstHost(networkOf(ip.address)) : undefined);
  return { address: ip.address, gateway, interfaceIndex: 2 };
}

/** The gateway addresses go to the bridge or, with a VLAN, to a device of their own, which is returned. */
function setGateways(
  socket: NetlinkSocket,
  config: BridgeConfig,
  device: Bridge,
  gateways: readonly Cidr[],
): GatewayDevice | undefined {
  const [first] = gateways;
  if (first === undefined) return undefined;
  const inVlan = config.extras.vlan !== 0;
  try {
    const gatewayDevice = inVlan ? ensureVlanGateway(socket, device, config.extras, first) : device;
    ensureGateways(socket, gatewayDevice, gateways, config.forceAddress);
    ensureForwarding(gateways);
    return inVlan ? gatewayDevice : undefined;
  } catch (error) {
    const what = inVlan ? "failed to set vlan interface for bridge with addr" : "failed to set bridge addr";
    throw new Error(what, { cause: error });
  }
}

function usualMac(attachment: Attachment, ips: readonly CniIp[]): MacAddress {
  const [first] = ips;
  return first === undefined ? macForAttachment(attachment) : macForAddress(first.address.address);
}

interface Made {
  readonly config: BridgeConfig;
  readonly device: Bridge;
  readonly containerMac: string;
  readonly netns: Netns;
  readonly vlanGateway: GatewayDevice | undefined;
}

function interfacesOf(attachment: Attachment, made: Made): CniInterface[] {
  const mtu = made.config.mtu === 0 ? undefined : made.config.mtu;
  const common = { sandbox: undefined, mtu, socketPath: undefined, pciId: undefined };
  const interfaces = [
    { ...common, name: made.config.bridge, mac: made.device.mac, mtu: made.device.mtu },
    { ...common, name: hostVethName(attachment), mac: hostVethMac(attachment) },
    { ...common, name: attachment.interfaceName, mac: made.containerMac, sandbox: made.netns.path },
  ];
  if (made.vlanGateway === undefined) return interfaces;
  return [...interfaces, { ...common, name: made.vlanGateway.name, mac: made.vlanGateway.mac, mtu: made.device.mtu }];
}

/** True when there were ours: then no other plugin has made the attachment, nor its rules. */
function removeLinks(request: CniRequest): boolean {
  using socket = new NetlinkSocket();
  if (removeHostVeth(socket, attachmentOf(request))) return true;
  using netns = findNetnsIfThere(request.netns);
  if (netns !== undefined) removeContainerInterface(netns, request.interfaceName);
  return false;
}

/** On DEL a path that is no namespace any more is as good as none: the namespace and its links are gone. */
function findNetnsIfThere(path: string): Netns | undefined {
  try {
    return path === "" ? undefined : findNetns(path);
  } catch (error) {
    if (error instanceof NotANamespaceError) return undefined;
    throw error;
  }
}

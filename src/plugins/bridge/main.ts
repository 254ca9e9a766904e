import { type Cidr, firstHost, networkOf } from "../../addr/cidr.ts";
import type { MacAddress } from "../../addr/mac.ts";
import { runAll } from "../../base/run-all.ts";
import { Undo } from "../../base/undo.ts";
import { delegateAdd, delegateDel } from "../../cni/delegate.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import { type CniPlugin, type CniRequest, type CniUpkeep, withUpkeep } from "../../cni/plugin.ts";
import type { CniInterface, CniIp, CniResult } from "../../cni/result.ts";
import { findRuleTables } from "../../firewall/presence.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { findLivingNetns, type Netns } from "../../sys/netns.ts";
import {
  type Attachment,
  attachmentOf,
  hostVethMac,
  hostVethName,
  macForAddress,
  macForAttachment,
} from "./attachment.ts";
import { type BridgeConfig, decodeBridgeConfig, hasRules, ipamTypeOf, wantedMacOf } from "./config.ts";
import { noExtras } from "./extra-config.ts";
import {
  type Bridge,
  ensureBridge,
  ensureForwarding,
  ensureGateways,
  gatewayError,
  type GatewayDevice,
  gatewaysOf,
  refuseRouterAdvertisements,
} from "./host.ts";
import { configurePod, openPodNetns, routesWithDefaults } from "./pod.ts";
import { configurePort } from "./port.ts";
import type { RuledPod } from "./rules.ts";
import { addVeth, removeContainerInterface, removeHostVeth, waitUntilRunning } from "./veth.ts";
import { ensureVlanGateway } from "./vlan-gateway.ts";

/** The bridge plugin: joins a container to a bridge of the host by a veth pair. */
export function createBridge(upkeep: () => CniUpkeep, rules: () => BridgeRules): CniPlugin {
  return withUpkeep(
    {
      name: "bridge",
      about: "CNI bridge plugin of tartan",
      add: (request) => add(request, rules),
      del: (request) => del(request, rules),
    },
    upkeep,
  );
}

/** What the bridge plugin needs of nf_tables, for the few networks that ask for it (rules.ts). */
export interface BridgeRules {
  /** Makes the attachment's rules; each is taken back when ADD fails later, or when making it fails. */
  addRules(request: CniRequest, config: BridgeConfig, pod: RuledPod, undo: Undo): void;
  /** Removes the attachment's rules, whatever the configuration says by now. */
  removeRules(request: CniRequest): void;
  /** Removes the rules that the reference made for the attachment. */
  removeReferenceRules(request: CniRequest): void;
}

/** Checks everything, reserves the addresses, then makes the links; a failure undoes the steps in reverse. */
function add(request: CniRequest, rules: () => BridgeRules): CniResult {
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
  refuseRouterAdvertisements(hostVethName(attachment));
  if (extras !== noExtras) configurePort(socket, hostVethName(attachment), extras);
  const routes = config.isDefaultGateway ? routesWithDefaults(ipam.ips, ipam.routes) : ipam.routes;
  if (!extras.containerDown) {
    const { detectDuplicates } = extras;
    configurePod(netns, { interfaceName: request.interfaceName, ips: ipam.ips, routes, detectDuplicates });
    waitUntilRunning(socket, attachment);
  }
  if (hasRules(config)) rules().addRules(request, config, { ips: ipam.ips, mac: containerMac }, undo);
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
function del(request: CniRequest, rules: () => BridgeRules): void {
  const present = findRuleTables();
  let ours = false;
  runAll([
    // The kernel frees them in the time that the links take to go.
    (): void => {
      if (present.ours) rules().removeRules(request);
    },
    (): void => {
      ours = removeLinks(request);
    },
    // Also when it is not known whose the links are: the names are this attachment's alone.
    (): void => {
      if (!ours && present.others) rules().removeReferenceRules(request);
    },
    (): void => {
      const ipamType = ipamTypeOf(request.config);
      if (ipamType !== "") delegateDel(request, ipamType, request.config.json);
    },
  ]);
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
    throw gatewayError(inVlan, error);
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
  using netns = findLivingNetns(request.netns);
  if (netns !== undefined) removeContainerInterface(netns, request.interfaceName);
  return false;
}

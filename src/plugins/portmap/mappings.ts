/** Mappings in nf_tables: loaded only for a pod that has some, or may have had. */
import { families, type Family } from "../../addr/ip.ts";
import { errorText } from "../../base/error.ts";
import { runAll } from "../../base/run-all.ts";
import { Undo } from "../../base/undo.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import type { CniGcRequest, CniNetworkRequest, CniRequest, CniUpkeep } from "../../cni/plugin.ts";
import type { CniResult } from "../../cni/result.ts";
import { notAvailableUnless } from "../../cni/status.ts";
import { hostPortIndex, hostPortPart, prepareHostPorts, presentBits } from "../../firewall/host-port-table.ts";
import { decodeHostPort, type HostPort, hostPortSets, portEntry, type PortForward } from "../../firewall/host-ports.ts";
import { findOwner, isStaleOwner, type NamedOwner, ownerText, type PodOwner } from "../../firewall/pod-owner.ts";
import { checkEntries, dropEntries, HeldError, takeEntries } from "../../firewall/pod-sets.ts";
import { findDamage, podTable, sweepSets } from "../../firewall/pod-table.ts";
import { inNfTables } from "../../firewall/netfilter-socket.ts";
import { findReferencePort } from "../../firewall/reference-ports.ts";
import { removeReferencePorts } from "../../firewall/reference.ts";
import { findLink } from "../../netlink/link.ts";
import { listElements } from "../../netlink/nftables-dump.ts";
import { NETLINK_NETFILTER } from "../../netlink/nftables-constants.ts";
import { findDestination } from "../../netlink/route-lookup.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { ensureSysctl, findSysctl } from "../../sys/sysctl.ts";
import { decodePortConfig, type PortConfig, type PortSettings } from "./config.ts";
import { forgetFlows } from "./flows.ts";
import { findHostDevice, planForwards, type PodAddresses, podAddresses } from "./plan.ts";

/** CHECK, GC and STATUS: the kernel has all that mappings need, so that the configuration decides. */
export const portmapUpkeep: CniUpkeep = { check, gc, status };

/** Makes the mappings of an attachment that `result` describes. Throws and leaves nothing behind. */
export function addMappings(request: CniRequest, result: CniResult, wanted: PortConfig): void {
  using route = new NetlinkSocket();
  using netfilter = new NetlinkSocket(NETLINK_NETFILTER);
  const owner = ownerOf(request, result);
  const { forwards, localDevice } = planFor(route, request, result, wanted);
  if (forwards.length === 0) return;
  refuseReferencePorts(netfilter, forwards);
  using undo = new Undo();
  // Before it is made: where the kernel's answer is lost, nobody knows whether it was.
  undo.defer(() => dropEntries(netfilter, hostPortSets, owner));
  try {
    take(netfilter, route, owner, forwards, wanted.settings);
  } catch (error) {
    // Nothing was sent: what the attachment has of an earlier ADD is its own.
    if (error instanceof CniError) undo.keep();
    throw error;
  }
  forget(request, { netfilter, route }, forwards);
  // Without it the kernel drops what comes from 127.0.0.1 and leaves by another device.
  if (localDevice !== undefined) ensureSysctl(localnetKey(localDevice), "1");
  undo.keep();
}

/** Removes what the attachment has, which needs nothing but its name, and what the reference made for its container. */
export function removeMappings(request: CniRequest): void {
  const owner = ownerOf(request, undefined);
  inNfTables((netfilter) => {
    runAll([
      (): void => {
        const ports = dropEntries(netfilter, hostPortSets, owner).map(decodeHostPort);
        if (ports.length === 0) return;
        using route = new NetlinkSocket();
        forget(request, { netfilter, route }, ports);
      },
      (): unknown => removeReferencePorts(netfilter, owner),
    ]);
  });
}

function check(request: CniRequest): void {
  const wanted = decodePortConfig(request.config);
  const { prevResult } = request.config;
  if (prevResult === undefined) throw new Error("Required prevResult missing");
  if (wanted.mappings.length === 0) return;
  using route = new NetlinkSocket();
  using netfilter = new NetlinkSocket(NETLINK_NETFILTER);
  const { forwards, localDevice } = planFor(route, request, prevResult, wanted);
  if (forwards.length === 0) return;
  checkEntries(netfilter, hostPortSets, ownerOf(request, prevResult), forwards.map(portEntry));
  const damaged = findDamage(netfilter, hostPortPart(presentBits(netfilter)));
  if (damaged !== undefined) throw new Error(damaged);
  if (localDevice !== undefined && findSysctl(localnetKey(localDevice)) !== "1") {
    throw new Error(`${localnetKey(localDevice)} is not 1, which host ports on 127.0.0.1 need`);
  }
}

/** Frees the host ports of this network's attachments that are not valid any more. */
function gc(request: CniGcRequest): void {
  const { config, valid } = request;
  function isStale(owner: PodOwner): boolean {
    return isStaleOwner(owner, config.name, valid);
  }
  inNfTables((netfilter) => {
    const ports = listElements(netfilter, podTable, hostPortIndex).flatMap(({ comment, data }) => {
      const owner = findOwner(comment);
      return owner !== undefined && isStale(owner) && data instanceof Uint8Array ? [decodeHostPort(data)] : [];
    });
    sweepSets(netfilter, () => hostPortPart(presentBits(netfilter)), isStale);
    if (ports.length === 0) return;
    using route = new NetlinkSocket();
    forget(request, { netfilter, route }, ports);
  });
}

/** Throws a CniError, code 50, for a configuration that ADD would refuse, be it without mappings. */
function status({ config }: CniNetworkRequest): void {
  notAvailableUnless(() => decodePortConfig(config));
}

interface Plan {
  readonly forwards: readonly PortForward[];
  /** The device whose packets from 127.0.0.1 the kernel has to let pass; undefined when none need to. */
  readonly localDevice: string | undefined;
}

function planFor(route: NetlinkSocket, request: CniRequest, result: CniResult, wanted: PortConfig): Plan {
  const { settings, mappings } = wanted;
  const addresses = podAddresses(result, request.interfaceName);
  const devices = { 4: undefined, 6: undefined, ...(settings.snat ? devicesTo(route, addresses) : {}) };
  const forwards = planForwards(mappings, settings, { addresses, devices });
  return { forwards, localDevice: forwards.some(({ family }) => family === 4) ? devices[4] : undefined };
}

/** The devices behind which the addresses are. */
function devicesTo(route: NetlinkSocket, addresses: PodAddresses): { [F in Family]?: string | undefined } {
  const devices: { [F in Family]?: string | undefined } = {};
  for (const family of families) {
    const address = addresses[family];
    const index = address === undefined ? undefined : findDestination(route, address)?.interfaceIndex;
    if (index !== undefined) devices[family] = findLink(route, { index })?.name;
  }
  return devices;
}

function take(
  netfilter: NetlinkSocket,
  route: NetlinkSocket,
  owner: NamedOwner,
  forwards: readonly PortForward[],
  { markBit }: PortSettings,
): void {
  try {
    takeEntries(netfilter, hostPortSets, {
      owner,
      entries: forwards.map(portEntry),
      prepare: () => prepareHostPorts(netfilter, markBit),
      isThere: ({ device }) => device !== undefined && findLink(route, { name: device }) !== undefined,
    });
  } catch (error) {
    if (!(error instanceof HeldError)) throw error;
    const message = `Cannot map ${error.held}: it belongs to ${ownerText(error.owner)}, which is still there`;
    throw new CniError(cniCode.tryAgainLater, message);
  }
}

/** Throws a CniError for a host port that rules of the reference portmap lead elsewhere. */
function refuseReferencePorts(netfilter: NetlinkSocket, forwards: readonly PortForward[]): void {
  const held = findReferencePort(netfilter, forwards);
  if (held === undefined) return;
  const message =
    `Cannot map ${held.text}: it belongs to ${held.owner}, for which the reference portmap has mapped it ` +
    `(${held.place}); it is free when that container is deleted`;
  throw new CniError(cniCode.tryAgainLater, message);
}

/** Best effort, as the reference: a flow that is not forgotten ends by itself, when it has been silent for long enough. */
function forget(
  request: Pick<CniRequest, "warn">,
  sockets: Parameters<typeof forgetFlows>[0],
  ports: readonly HostPort[],
): void {
  try {
    forgetFlows(sockets, ports);
  } catch (error) {
    request.warn(`portmap: stale UDP flows may stay: ${errorText(error)}`);
  }
}

function ownerOf(request: CniRequest, result: CniResult | undefined): NamedOwner {
  const { containerId, interfaceName, config } = request;
  const device = result === undefined ? undefined : findHostDevice(result, interfaceName);
  return { network: config.name, containerId, interfaceName, device, pod: request.args.podName };
}

function localnetKey(device: string): string {
  return `net/ipv4/conf/${device}/route_localnet`;
}

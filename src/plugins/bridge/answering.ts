/**
 * Addresses that the runtime no longer knows and that are in use all the same. The reference's links say nowhere whose they
 * are, so that GC must not remove them; but an address behind one of them must not be given to the next pod either.
 */
import { families, formatIp } from "../../addr/ip.ts";
import type { CniGcRequest, StaleAddress } from "../../cni/plugin.ts";
import { type Link, listLinks } from "../../netlink/link.ts";
import { deleteNeighbor, listNeighbors, solicitNeighbor } from "../../netlink/neighbor.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { findAliasMark } from "./gc.ts";
import { bridgeOf } from "./config.ts";
import { vlanGatewayName } from "./vlan-gateway.ts";

/** A pod on the same host answers within a millisecond; all are asked at once. */
const patienceMilliseconds = 1000;
const pauseMilliseconds = 20;

/**
 * The stale addresses that answer on the bridge of the network. Nobody is asked while each of the bridge's ports is ours: GC
 * has removed those that are stale.
 */
export function listAnswering(request: CniGcRequest, ipamType: string): readonly StaleAddress[] {
  const { bridge, vlan } = bridgeOf(request.config);
  using socket = new NetlinkSocket();
  const links = listLinks(socket);
  const master = links.find(({ name, kind }) => name === bridge && kind === "bridge");
  if (master === undefined || !links.some((link) => link.masterIndex === master.index && isOthers(link))) return [];
  const asker = vlan === 0 ? master : links.find(({ name }) => name === vlanGatewayName(bridge, vlan));
  const stale = request.builtIn.get(ipamType)?.stale?.(request) ?? [];
  return asker === undefined || stale.length === 0 ? [] : askAll(socket, asker, stale);
}

/** What is told of such an address. */
export function answeringText({ config }: CniGcRequest, { address, containerId }: StaleAddress): string {
  const pod = `container ${containerId}, which network "${config.name}" no longer has`;
  return `Cannot free ${formatIp(address)} of ${pod}: it still answers, by a device that another plugin made; remove the container's network namespace`;
}

/** The request with the attachments given among those that are valid. */
export function keeping(request: CniGcRequest, kept: readonly StaleAddress[]): CniGcRequest {
  if (kept.length === 0) return request;
  const { valid } = request;
  return {
    ...request,
    valid: {
      list: valid.list,
      has: (containerId, interfaceName) =>
        valid.has(containerId, interfaceName) ||
        kept.some((one) => one.containerId === containerId && (one.interfaceName ?? interfaceName) === interfaceName),
      hasContainer: (containerId) =>
        valid.hasContainer(containerId) || kept.some((one) => one.containerId === containerId),
    },
  };
}

/** True for a pair's end that is neither a pod's of ours nor the port of a VLAN's gateway. */
function isOthers({ kind, name, alias }: Link): boolean {
  return kind === "veth" && findAliasMark(alias)?.device !== name && !alias.startsWith("tartan-bridge ");
}

function askAll(socket: NetlinkSocket, { index }: Link, stale: readonly StaleAddress[]): readonly StaleAddress[] {
  const neighbors = stale.map(({ address }) => ({ interfaceIndex: index, address }));
  // What was known of an address may be of a pod that is gone. A refusal: nothing was known, or the kernel cannot ask.
  socket.batch([...neighbors.map(deleteNeighbor), ...neighbors.map(solicitNeighbor)]);
  const deadline = performance.now() + patienceMilliseconds;
  while (true) {
    const entries = families.flatMap((family) => listNeighbors(socket, family, index));
    const known = new Map(entries.map(({ address, mac }) => [address === undefined ? "" : formatIp(address), mac]));
    const answering = stale.filter(({ address }) => known.get(formatIp(address)) !== undefined);
    if (answering.length === stale.length || performance.now() > deadline) return answering;
    Bun.sleepSync(pauseMilliseconds);
  }
}

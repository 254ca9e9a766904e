import type { MacAddress } from "../../addr/mac.ts";
import { IF_OPER_UP } from "../../netlink/constants.ts";
import { changeBridgePort, findLink, removeLink } from "../../netlink/link.ts";
import { addLink, type VethSpec } from "../../netlink/link-spec.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { errno, failedWith } from "../../sys/errno.ts";
import { inNetns, type Netns } from "../../sys/netns.ts";
import { type Attachment, hostVethAlias, hostVethMac, hostVethName } from "./attachment.ts";
import type { Bridge } from "./host.ts";

/** Longest wait for the kernel to report the pair as running, in milliseconds; usually it has by the first look. */
const runningTimeout = 2000;

/** What the pair is made of besides the attachment's own names. */
export interface VethOptions {
  readonly bridge: Bridge;
  readonly netns: Netns;
  readonly containerMac: MacAddress;
  readonly mtu: number;
  readonly hairpin: boolean;
}

/**
 * Makes the pair: the container's end in its namespace, the host's end as a running port of the bridge with our alias.
 * One message each, sent together; what a killed ADD of the same attachment left is removed first. When this throws,
 * the pair may be there: removeHostVeth undoes it.
 */
export function addVeth(socket: NetlinkSocket, attachment: Attachment, options: VethOptions): void {
  const name = hostVethName(attachment);
  const spec: VethSpec = {
    kind: "veth",
    name,
    mac: hostVethMac(attachment),
    mtu: options.mtu,
    up: true,
    master: options.bridge.index,
    peer: { name: attachment.interfaceName, mac: options.containerMac, netns: options.netns.fd },
  };
  const port = changeBridgePort({ name }, { hairpin: options.hairpin }, hostVethAlias(attachment));
  let [refusal] = socket.batch([addLink(spec), port]);
  if (refusal?.index === 0 && failedWith(refusal.error, errno.EEXIST) && removeHostVeth(socket, attachment)) {
    [refusal] = socket.batch([addLink(spec), port]);
  }
  if (refusal === undefined) return;
  if (failedWith(refusal.error, errno.EEXIST)) {
    throw new Error(`container veth name ("${attachment.interfaceName}") peer provided ("${name}") already exists`);
  }
  throw refusal.error;
}

/** Removes the host's end, and with it the container's; false when there is none of ours. */
export function removeHostVeth(socket: NetlinkSocket, attachment: Attachment): boolean {
  const name = hostVethName(attachment);
  const link = findLink(socket, { name });
  if (link === undefined || !isOurs(link.alias, attachment)) return false;
  return removeLink(socket, { index: link.index });
}

/** Removes the interface inside the container, whoever made it; nothing to do when it is gone. */
export function removeContainerInterface(netns: Netns, interfaceName: string): void {
  inNetns(netns, () => {
    using socket = new NetlinkSocket();
    removeLink(socket, { name: interfaceName });
  });
}

/**
 * Waits until the bridge passes packets to the port: the kernel's link watch tells the bridge of a new carrier a moment
 * after the container's end came up.
 */
export function waitUntilRunning(socket: NetlinkSocket, attachment: Attachment): void {
  const name = hostVethName(attachment);
  const deadline = performance.now() + runningTimeout;
  while (true) {
    const link = findLink(socket, { name });
    if (link?.operState === IF_OPER_UP) return;
    if (link === undefined) throw new Error(`Cannot find ${name}: somebody removed it`);
    if (performance.now() > deadline) throw new Error(`bridge port in error state: ${name} is not running`);
    Bun.sleepSync(1);
  }
}

/** An ADD killed between the two messages leaves a pair without alias; its name alone says whose it is. */
function isOurs(alias: string, attachment: Attachment): boolean {
  return alias === "" || alias === hostVethAlias(attachment);
}

import type { IpAddress } from "../../addr/ip.ts";
import { localMac, type MacAddress, macFromBytes } from "../../addr/mac.ts";
import { sha256 } from "../../sys/hash.ts";
import type { CniRequest } from "../../cni/plugin.ts";

/**
 * So many characters are at most 255 bytes, the kernel's limit (include/uapi/linux/if.h: IFALIASZ, less the NUL byte): only
 * the interface's name, of 15 bytes, may have characters of several, at the most 5 of 3.
 */
const longestAlias = 245;

/** Which interface of which container in which network. */
export interface Attachment {
  readonly network: string;
  readonly containerId: string;
  readonly interfaceName: string;
}

/** The attachment that a call is about. */
export function attachmentOf(request: CniRequest): Attachment {
  return {
    network: request.config.name,
    containerId: request.containerId,
    interfaceName: request.interfaceName,
  };
}

/**
 * The name of the pair's end on the host: `veth` and 11 hexadecimal digits of a hash of container and interface, so that
 * DEL finds it without any state. 44 bits do not collide on a node; the alias is compared all the same.
 */
export function hostVethName(attachment: Attachment): string {
  return vethNameOf(digest(attachment).toHex());
}

/** The name that goes with the hash of container and interface. */
export function vethNameOf(hash: string): string {
  return `veth${hash.slice(0, 11)}`;
}

/** The MAC address of the end on the host: fixed, so that nothing changes it afterwards (see CommonSpec.mac). */
export function hostVethMac(attachment: Attachment): MacAddress {
  return localMac(digest(attachment).subarray(16, 22));
}

/**
 * What marks the end on the host as ours: the program, then network, container and interface. Of what is too long for the
 * kernel hashes stand there, of the network and of the other two, so that GC still knows whose it is.
 */
export function hostVethAlias(attachment: Attachment): string {
  const { network, containerId, interfaceName } = attachment;
  const alias = `tartan ${network} ${containerId} ${interfaceName}`;
  return alias.length <= longestAlias ? alias : `tartan ${networkHash(network)} ${digest(attachment).toHex()}`;
}

/** What stands for a network in the short form of an alias. No name begins so. */
export function networkHash(network: string): string {
  return `~${sha256(network).toHex()}`;
}

/**
 * The MAC address that belongs to an IP address: 0a:58 and the IPv4 address, or a hash of the IPv6 address. When an
 * address is used again by another pod, what neighbours remember of it is still right (containernetworking/plugins#756).
 */
export function macForAddress(address: IpAddress): MacAddress {
  if (address.family === 6) return localMac(sha256(address.bytes));
  const bytes = Uint8Array.of(0x0a, 0x58, 0, 0, 0, 0);
  bytes.set(address.bytes, 2);
  return macFromBytes(bytes);
}

/** The MAC address of a container's end without IP address: fixed, like the host's. */
export function macForAttachment(attachment: Attachment): MacAddress {
  return localMac(digest(attachment).subarray(22, 28));
}

function digest(attachment: Attachment): Uint8Array {
  return sha256(`${attachment.containerId}\0${attachment.interfaceName}`);
}

/** Whose an element of our tables is. Each element says it in its comment, which `nft list table inet tartan` shows. */
import { sha256 } from "../sys/hash.ts";

/** An interface of a container in a network. */
export interface PodOwner {
  /** A name, or what stands for a long one in a comment. */
  readonly network: string;
  readonly containerId: string;
  readonly interfaceName: string;
}

/** An owner as a comment tells it. */
export interface NamedOwner extends PodOwner {
  /** Device of the host that is there as long as the pod is; undefined when none is known. */
  readonly device: string | undefined;
  /** `NAMESPACE/NAME` of the Kubernetes pod, undefined when the runtime did not tell it. */
  readonly pod: string | undefined;
}

const program = "tartan";
const unknown = "-";
/** nft takes no longer comment back (NFTNL_UDATA_COMMENT_MAXLEN, 128 with the NUL byte), although the kernel would. */
const longestComment = 127;
/** The length of an interface's name, the type of the key (IFNAMSIZ, less the NUL byte): 60 bits do not collide on a node. */
const keyLength = 15;

/** The key of what is an owner's: digits of a hash, as the name of an interface, whose bytes nft shows as text. */
export function ownerKey({ network, containerId, interfaceName }: PodOwner): string {
  return digits(`${networkTag(network)}\0${containerId}\0${interfaceName}`);
}

/** True when the owner is one of the network's. */
export function isOfNetwork(owner: PodOwner, network: string): boolean {
  return networkTag(owner.network) === networkTag(network);
}

/** True for an owner of the network that is none of its attachments any more. */
export function isStaleOwner(
  owner: PodOwner,
  network: string,
  valid: { has(containerId: string, interfaceName: string): boolean },
): boolean {
  return isOfNetwork(owner, network) && !valid.has(owner.containerId, owner.interfaceName);
}

/** What an owner's elements say of it. */
export interface OwnerMarks {
  readonly comment: string;
  /** The pod's name where the comment has no room for it. The kernel has at least 121 bytes for it. */
  readonly note: string | undefined;
}

/**
 * The marks of an owner's elements. The comment is `tartan NETWORK CONTAINER INTERFACE DEVICE [POD]`; of a network whose
 * name is too long for it a hash stands there, so that GC still knows whose it is.
 */
export function ownerMarks(owner: NamedOwner): OwnerMarks {
  const { network, device = unknown, pod } = owner;
  for (const name of [network, networkTag(network)]) {
    const text = `${program} ${name} ${owner.containerId} ${owner.interfaceName} ${device}`;
    if (text.length > longestComment) continue;
    const named = pod === undefined ? text : `${text} ${pod}`;
    return named.length > longestComment ? { comment: text, note: pod } : { comment: named, note: undefined };
  }
  return { comment: `${program} ${ownerKey(owner)} ${device}`, note: pod };
}

/** Whom an element's comment and note name; undefined for a comment that is not ours. */
export function findOwner(comment: string | undefined, note?: string): NamedOwner | undefined {
  const words = comment?.split(" ") ?? [];
  const [first, network, containerId, interfaceName, device, pod = note] = words;
  if (first !== program || network === undefined || containerId === undefined) return undefined;
  // The short form of a long one names no container, but a device all the same.
  if (interfaceName === undefined) return { ...nobody, device: known(containerId), pod: note };
  return { network, containerId, interfaceName, device: known(device), pod };
}

/** The key of the owner whom a comment names, also in its short form; undefined for a comment that is not ours. */
export function findOwnerKey(comment: string | undefined): string | undefined {
  const owner = findOwner(comment);
  if (owner === undefined) return undefined;
  return owner.containerId === "" ? comment?.split(" ")[1] : ownerKey(owner);
}

/** The owner in words, for errors. */
export function ownerText({ network, containerId, interfaceName, pod }: NamedOwner): string {
  if (containerId === "") return pod === undefined ? "another pod" : `pod ${pod}`;
  const name = pod === undefined ? "" : `pod ${pod}, `;
  return `${name}container ${containerId}, interface ${interfaceName} of network ${network}`;
}

/** What stands for a network's name, also for itself: no name begins so. */
function networkTag(network: string): string {
  return network.startsWith("~") ? network : `~${digits(network)}`;
}

function digits(text: string): string {
  return sha256(text).toHex().slice(0, keyLength);
}

const nobody = { network: "", containerId: "", interfaceName: "" };

function known(device: string | undefined): string | undefined {
  return device === unknown ? undefined : device;
}

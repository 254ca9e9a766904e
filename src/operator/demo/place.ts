/** Where a demo keeps what it makes: everything carries its ID, so that demos run side by side and are told apart. */
import { listDirectory } from "../../sys/directory.ts";
import { listNetns } from "../../sys/netns-create.ts";

const parent = "/run";
const prefix = "tartan-demo-";

/** The names of one demo. */
export interface Place {
  readonly id: string;
  /** Holds all files of the demo. */
  readonly directory: string;
  /** flannel's etcd layout as files: the lease source of both daemons. */
  readonly leases: string;
  /** The programs by their names, as in /opt/cni/bin. */
  readonly programs: string;
}

/** True for what newId gives. */
export function isId(text: string): boolean {
  return /^[\da-f]{6}$/.test(text);
}

/** A random ID. */
export function newId(): string {
  return crypto.getRandomValues(new Uint8Array(3)).toHex();
}

/** The place of the demo with this ID; makes nothing. */
export function placeOf(id: string): Place {
  const directory = `${parent}/${prefix}${id}`;
  return { id, directory, leases: `${directory}/leases`, programs: `${directory}/bin` };
}

/** What a node keeps apart from the other: on machines of their own these would be /run/flannel, /var/lib/cni, …. */
export function nodeDirectory(place: Place, node: string): string {
  return `${place.directory}/${node}`;
}

/** The name under /run/netns of one of the demo's namespaces. */
export function netnsName(place: Place, name: string): string {
  return `${prefix}${place.id}-${name}`;
}

/** The demo's namespaces that are there now. */
export function listNetnsNames(place: Place): readonly string[] {
  return listNetns().filter((name) => name.startsWith(netnsName(place, "")));
}

/** The IDs of all demos of which anything is there now. */
export function listIds(): readonly string[] {
  const names = [...(listDirectory(parent) ?? []), ...listNetns()].filter((name) => name.startsWith(prefix));
  const ids = names.map((name) => name.slice(prefix.length).split("-")[0] ?? "");
  return [...new Set(ids)].filter(isId).toSorted();
}

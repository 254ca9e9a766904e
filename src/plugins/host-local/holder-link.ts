/**
 * A second name for each address file, by which its holder finds it: a hard link `.tartan-` and a hash of container and
 * interface, beside it. Without it every ADD and DEL would have to read every file, as the reference does. The reference
 * looks for contents and is not disturbed: its DEL removes both names, since both have the holder's content.
 */
import { findIp } from "../../addr/ip.ts";
import type { DirectoryEntry } from "../../sys/directory.ts";
import { removeFile } from "../../sys/file.ts";
import { sha256 } from "../../sys/hash.ts";
import { findOwner, type Holder } from "./owner.ts";

const prefix = ".tartan-";
/** Of the hash; 96 bits do not collide. */
const digits = 24;

/** The name by which a holder's addresses are found. */
export function holderLinkName({ containerId, interfaceName }: Holder): string {
  return `${prefix}${sha256(`${containerId}\0${interfaceName}`).toHex().slice(0, digits)}`;
}

/** True for the name of an address, and for the one by which its holder finds it. */
export function isReservationName(name: string): boolean {
  return name.startsWith(prefix) || findIp(name) !== undefined;
}

/**
 * Removes the links that lead to no address, and the addresses that are nobody's, as a crash leaves them. True when every
 * other address has its link; the reference's have none. Throws a SyscallError.
 */
export function tidyLinks(directory: string, entries: readonly DirectoryEntry[]): boolean {
  const addresses = entries.filter(({ name }) => findIp(name) !== undefined);
  const links = entries.filter(({ name }) => name.startsWith(prefix));
  const reserved = new Set(addresses.map(({ inode }) => inode));
  for (const { name, inode } of links) if (!reserved.has(inode)) removeFile(`${directory}/${name}`);
  const linked = new Set(links.map(({ inode }) => inode));
  let complete = true;
  for (const { name, inode } of addresses) {
    if (linked.has(inode)) continue;
    if (findOwner(`${directory}/${name}`) !== undefined) complete = false;
    else removeFile(`${directory}/${name}`);
  }
  return complete;
}

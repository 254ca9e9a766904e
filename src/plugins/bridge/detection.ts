import { formatCidr } from "../../addr/cidr.ts";
import { listAddresses } from "../../netlink/address.ts";
import { IF_OPER_UP, IFA_F_TENTATIVE } from "../../netlink/constants.ts";
import { findLink, type Link } from "../../netlink/link.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";

/** include/uapi/linux/if_addr.h */
const IFA_F_DADFAILED = 0x08;
const patienceMilliseconds = 5000;
const pauseMilliseconds = 50;

/**
 * Waits until the kernel has looked for duplicates of all of the link's IPv6 addresses, its link-local one too. Throws an
 * Error for an address that another host has, and when it takes too long although the link is up.
 */
export function waitForDetection(socket: NetlinkSocket, { index, name }: Link): void {
  const deadline = performance.now() + patienceMilliseconds;
  while (true) {
    const addresses = listAddresses(socket, index, 6);
    const failed = addresses.find(({ flags }) => (flags & IFA_F_DADFAILED) !== 0);
    if (failed !== undefined) {
      throw unsettled(name, `link ${name} has address ${formatCidr(failed.address)} in DADFAILED state`);
    }
    if (!addresses.some(({ flags }) => (flags & IFA_F_TENTATIVE) !== 0)) return;
    if (performance.now() > deadline) break;
    Bun.sleepSync(pauseMilliseconds);
  }
  if (findLink(socket, { index })?.operState !== IF_OPER_UP) return;
  throw unsettled(name, `link ${name} still has tentative addresses after ${patienceMilliseconds / 1000} seconds`);
}

function unsettled(name: string, problem: string): Error {
  return new Error(`failed to settle addresses for "${name}": ${problem}`);
}

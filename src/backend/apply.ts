import { errno, failedWith } from "../sys/errno.ts";
import type { NetlinkError, Request } from "../netlink/message.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import type { Change } from "./change.ts";

/** A change that the kernel refused. */
export interface RefusedChange {
  readonly change: Change;
  readonly error: NetlinkError;
}

/** So many are sent with one system call; the requests of more at once would be most of what the daemon ever holds. */
const changesAtOnce = 100;

/**
 * Sends all requests of all changes, many with one system call, and returns what was refused; that something to be
 * removed is gone already is no refusal. Throws a SyscallError when the kernel does not answer.
 */
export function applyChanges(socket: NetlinkSocket, changes: readonly Change[]): readonly RefusedChange[] {
  const refused = new Map<Change, NetlinkError>();
  for (let start = 0; start < changes.length; start += changesAtOnce) {
    const requests: Request[] = [];
    const owners: Change[] = [];
    for (const change of changes.slice(start, start + changesAtOnce)) {
      for (const request of change.requests) {
        requests.push(request);
        owners.push(change);
      }
    }
    for (const { index, error } of socket.batch(requests)) {
      const change = owners[index];
      if (change === undefined || (change.removal && isGone(error))) continue;
      // Of several the last one tells more: after a delete that was refused, the name is taken.
      refused.set(change, refused.get(change) ?? error);
    }
  }
  return Array.from(refused, ([change, error]) => ({ change, error }));
}

function isGone(error: NetlinkError): boolean {
  return failedWith(error, errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL);
}

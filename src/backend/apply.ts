import { errno, failedWith } from "../sys/errno.ts";
import type { NetlinkError, Request } from "../netlink/message.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import type { Change } from "./change.ts";

/** A change that the kernel refused. */
export interface RefusedChange {
  readonly change: Change;
  readonly error: NetlinkError;
}

/**
 * Sends all requests of all changes, many with one system call, and returns what was refused; that something to be
 * removed is gone already is no refusal. Throws a SyscallError when the kernel does not answer.
 */
export function applyChanges(socket: NetlinkSocket, changes: readonly Change[]): readonly RefusedChange[] {
  const requests: Request[] = [];
  const owners: Change[] = [];
  for (const change of changes) {
    for (const request of change.requests) {
      requests.push(request);
      owners.push(change);
    }
  }
  const refused = new Map<Change, NetlinkError>();
  for (const { index, error } of socket.batch(requests)) {
    const change = owners[index];
    if (change === undefined || (change.removal && isGone(error))) continue;
    // Of several the last one tells more: after a delete that was refused, the name is taken.
    refused.set(change, refused.get(change) ?? error);
  }
  return Array.from(refused, ([change, error]) => ({ change, error }));
}

function isGone(error: NetlinkError): boolean {
  return failedWith(error, errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL);
}

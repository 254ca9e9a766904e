import { NETLINK_NETFILTER } from "../netlink/nftables-constants.ts";
import { readGeneration } from "../netlink/nftables-transaction.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { errno, failedWith } from "../sys/errno.ts";

/** What a kernel without nf_tables answers: it has no such protocol of netlink, or no such subsystem of that. */
const absent = [errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL];

/**
 * Does what removes things from nf_tables, for a program that ends soon. Where the kernel has no nf_tables, there is nothing
 * to remove. The socket is left to the end of the program: closing one waits until what was removed is free
 * (nf_tables_api.c: nft_rcv_nl_event), which takes as long as a link takes to go, and passes meanwhile.
 */
export function inNfTables(work: (socket: NetlinkSocket) => void): void {
  try {
    work(new NetlinkSocket(NETLINK_NETFILTER));
  } catch (error) {
    if (failedWith(error, ...absent) && !hasNfTables()) return;
    throw error;
  }
}

function hasNfTables(): boolean {
  try {
    using socket = new NetlinkSocket(NETLINK_NETFILTER);
    readGeneration(socket);
    return true;
  } catch (error) {
    if (failedWith(error, ...absent)) return false;
    throw error;
  }
}

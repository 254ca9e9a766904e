import { NETLINK_NETFILTER } from "../netlink/nftables-constants.ts";
import { NetlinkSocket } from "../netlink/socket.ts";

let kept: NetlinkSocket | undefined;

/**
 * The socket for questions and removals of a program that ends soon, in the namespace of its first use. It is left to the
 * end of the program: closing one waits until what was removed is free (nf_tables_api.c: nft_rcv_nl_event), which takes as
 * long as a link takes to go, and passes meanwhile.
 */
export function keptSocket(): NetlinkSocket {
  return (kept ??= new NetlinkSocket(NETLINK_NETFILTER));
}

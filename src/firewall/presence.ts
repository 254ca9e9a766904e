import { ByteWriter } from "../base/bytes.ts";
import { Attributes } from "../netlink/attribute.ts";
import {
  NETLINK_NETFILTER,
  NFT_MSG_GETTABLE,
  NFNL_SUBSYS_NFTABLES,
  NFTA_TABLE_NAME,
} from "../netlink/nftables-constants.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { SyscallError } from "../sys/errno.ts";

/** struct nfgenmsg, of any family. */
const headerLength = 4;

/** The names of the tables in which a pod can have rules: ours, iptables-nft's and those of the reference's nft backends. */
const podRuleTables: readonly string[] = ["tartan", "nat", "cni_hostport", "cni_plugins_masquerade"];

/**
 * False when no pod can have rules here, since none of the tables is there: one question, for DEL, which then needs none of
 * the code that removes them. True also where the kernel does not answer: who removes will say why. The socket is left
 * to the end of the program, see inNfTables.
 */
export function mayHavePodRules(): boolean {
  try {
    const socket = new NetlinkSocket(NETLINK_NETFILTER);
    const body = new ByteWriter(headerLength).u32(0).finish();
    const type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE;
    const tables = socket.dump({ type, flags: 0, body, text: "list tables" });
    return tables.some((table) => podRuleTables.includes(nameOf(table.body)));
  } catch (error) {
    if (error instanceof SyscallError) return true;
    throw error;
  }
}

function nameOf(body: Uint8Array): string {
  return new Attributes(body.subarray(headerLength)).findString(NFTA_TABLE_NAME) ?? "";
}

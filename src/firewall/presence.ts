import { ByteWriter } from "../base/bytes.ts";
import { Attributes } from "../netlink/attribute.ts";
import { NFT_MSG_GETTABLE, NFNL_SUBSYS_NFTABLES, NFTA_TABLE_NAME } from "../netlink/nftables-constants.ts";
import { SyscallError } from "../sys/errno.ts";
import { keptSocket } from "./kept-socket.ts";

/** struct nfgenmsg, of any family. */
const headerLength = 4;

/** Iptables-nft's and those of the reference's nft backends. */
const othersTables: readonly string[] = ["nat", "cni_hostport", "cni_plugins_masquerade"];

/** Whether there are tables in which a pod may have rules: tartan's, and those of other CNI plugins. */
export interface RuleTables {
  readonly ours: boolean;
  readonly others: boolean;
}

/**
 * Looks which tables there are: one question, for DEL, which where there are none needs none of the code that removes
 * rules. Where the kernel does not answer, both may be there: who removes will say why.
 */
export function findRuleTables(): RuleTables {
  try {
    const body = new ByteWriter(headerLength).u32(0).finish();
    const type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETTABLE;
    const tables = keptSocket().dump({ type, flags: 0, body, text: "list tables" });
    const names = tables.map((table) => nameOf(table.body));
    return { ours: names.includes("tartan"), others: names.some((name) => othersTables.includes(name)) };
  } catch (error) {
    if (error instanceof SyscallError) return { ours: true, others: true };
    throw error;
  }
}

function nameOf(body: Uint8Array): string {
  return new Attributes(body.subarray(headerLength)).findString(NFTA_TABLE_NAME) ?? "";
}

/**
 * The table of the bridge plugin's `macspoofchk`, `bridge tartan`: frames of a pod whose source is not the pod's own MAC
 * address are dropped where they enter the bridge (pkg/link/spoofcheck.go at v1.9.1).
 */
import { type MacAddress, macBytes } from "../addr/mac.ts";
import type { Request } from "../netlink/message.ts";
import * as n from "../netlink/nftables-constants.ts";
import { lookup, meta, payload, register, verdict } from "../netlink/nftables-expression.ts";
import { elementBytes, interfaceField, macField } from "../netlink/nftables-set.ts";
import type { Table } from "../netlink/nftables.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { indexKey, interfaceBytes, type PodEntry, type PodSets } from "./pod-sets.ts";
import { planPart, type TablePart } from "./pod-table.ts";

export const guardTable: Table = { family: n.NFPROTO_BRIDGE, name: "tartan" };

const guarded = "guarded";
const allowed = "allowed";
export const guardIndex = "guarded_pods";
/** include/uapi/linux/netfilter_bridge.h: NF_BR_PRI_NAT_DST_BRIDGED */
const priority = -300;
const guardHook = { type: "filter", number: n.NF_INET_PRE_ROUTING, priority, policy: n.NF_ACCEPT };
const chainName = "prerouting";
/** Offset of the source in a frame. */
const sourceOffset = 6;

export const guardSets: PodSets = {
  table: guardTable,
  index: guardIndex,
  chains: [{ name: chainName, hook: guardHook, use: 1 }],
  keysOf: (index) => keysOf(index.subarray(0, interfaceField.length), index.subarray(interfaceField.length, -2)),
};

/** Ports of bridges, and which source each may send from. A function, so that a start that does not need it does not make it. */
export function guardPart(): TablePart {
  return {
    table: guardTable,
    sets: [
      { name: guarded, key: [interfaceField], data: undefined },
      { name: allowed, key: [interfaceField, macField], data: undefined },
      { name: guardIndex, key: indexKey, data: [interfaceField, macField] },
    ],
    chains: [
      {
        name: chainName,
        hook: guardHook,
        rules: [
          [
            meta(n.NFT_META_IIFNAME),
            lookup(guarded),
            meta(n.NFT_META_IIFNAME),
            payload(n.NFT_PAYLOAD_LL_HEADER, sourceOffset, macField.length, register(4)),
            lookup(allowed, n.NFT_LOOKUP_F_INV),
            verdict(n.NF_DROP),
          ],
        ],
      },
    ],
  };
}

/** The entry of one port of a bridge. Pure. */
export function guardEntry(device: string, mac: MacAddress): PodEntry {
  const name = interfaceBytes(device);
  const bytes = macBytes(mac);
  return {
    index: elementBytes([name, bytes]),
    elements: keysOf(name, bytes),
    text: `check of the MAC address of ${device}`,
  };
}

/** The requests that make what is missing of the table. */
export function prepareGuard(socket: NetlinkSocket): readonly Request[] {
  return planPart(socket, guardPart());
}

function keysOf(name: Uint8Array, mac: Uint8Array): PodEntry["elements"] {
  return [
    { set: guarded, key: name },
    { set: allowed, key: elementBytes([name, mac]) },
  ];
}

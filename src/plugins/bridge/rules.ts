/** What the keys `ipMasq` and `macspoofchk` ask of nf_tables. Nothing here is loaded on ADD for those that have neither. */
import type { Cidr } from "../../addr/cidr.ts";
import type { MacAddress } from "../../addr/mac.ts";
import { runAll } from "../../base/run-all.ts";
import type { Undo } from "../../base/undo.ts";
import type { CniGcRequest, CniRequest } from "../../cni/plugin.ts";
import { guardEntry, guardPart, guardSets, prepareGuard } from "../../firewall/mac-guard.ts";
import { inNfTables } from "../../firewall/netfilter-socket.ts";
import {
  masqueradeEntry,
  masqueradePart,
  masqueradeSets,
  prepareMasquerade,
  presentSubnets,
} from "../../firewall/pod-masquerade.ts";
import { isStaleOwner, type NamedOwner, type PodOwner } from "../../firewall/pod-owner.ts";
import { checkEntries, dropEntries, takeEntries } from "../../firewall/pod-sets.ts";
import { findDamage, sweepSets } from "../../firewall/pod-table.ts";
import {
  hasReferenceMacCheck,
  hasReferenceMasquerade,
  removeReferenceMacCheck,
  removeReferenceMasquerade,
} from "../../firewall/reference.ts";
import { NETLINK_NETFILTER } from "../../netlink/nftables-constants.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { attachmentOf, hostVethName } from "./attachment.ts";
import { type BridgeConfig, hasRules } from "./config.ts";

/** The attachment's addresses, those of the network and that of the link. */
export interface RuledPod {
  readonly ips: readonly { readonly address: Cidr }[];
  readonly mac: MacAddress;
}

/** Makes the attachment's rules; each is taken back when ADD fails later, or when making it fails. */
export function addRules(request: CniRequest, config: BridgeConfig, pod: RuledPod, undo: Undo): void {
  const owner = ownerOf(request);
  undo.defer(() => removeOwnRules(owner));
  using socket = new NetlinkSocket(NETLINK_NETFILTER);
  if (config.extras.macCheck) {
    const entries = [guardEntry(hostVethName(owner), pod.mac)];
    takeEntries(socket, guardSets, { owner, entries, prepare: () => prepareGuard(socket), isThere: nobodyElse });
  }
  if (config.ipMasq) {
    const addresses = pod.ips.map(({ address }) => address);
    const entries = addresses.map(masqueradeEntry);
    takeEntries(socket, masqueradeSets, {
      owner,
      entries,
      prepare: () => prepareMasquerade(socket, addresses),
      isThere: nobodyElse,
    });
  }
}

/** Removes the attachment's rules, whatever the configuration says by now. */
export function removeRules(request: CniRequest): void {
  removeOwnRules(ownerOf(request));
}

/** Removes the rules that the reference made for the attachment, whatever the configuration says by now. */
export function removeReferenceRules(request: CniRequest): void {
  const owner = ownerOf(request);
  inNfTables((socket) => {
    runAll([
      (): unknown => removeReferenceMasquerade(socket, owner),
      (): unknown => removeReferenceMacCheck(socket, owner),
    ]);
  });
}

/** Throws an Error for what is missing of the attachment's rules. */
export function checkRules(request: CniRequest, config: BridgeConfig, pod: RuledPod): void {
  if (!hasRules(config)) return;
  using socket = new NetlinkSocket(NETLINK_NETFILTER);
  const owner = ownerOf(request);
  const parts = [];
  // A pod that the reference has added has the reference's rules until it goes.
  if (config.extras.macCheck && !hasReferenceMacCheck(socket, owner)) {
    checkEntries(socket, guardSets, owner, [guardEntry(hostVethName(owner), pod.mac)]);
    parts.push(guardPart());
  }
  if (config.ipMasq && !hasReferenceMasquerade(socket, owner)) {
    const entries = pod.ips.map(({ address }) => masqueradeEntry(address));
    checkEntries(socket, masqueradeSets, owner, entries);
    parts.push(masqueradePart(presentSubnets(socket)));
  }
  for (const part of parts) {
    const damaged = findDamage(socket, part);
    if (damaged !== undefined) throw new Error(damaged);
  }
}

/** Removes the rules of this network's attachments that are not valid any more. */
export function removeStaleRules({ config, valid }: CniGcRequest): void {
  function isStale(owner: PodOwner): boolean {
    return isStaleOwner(owner, config.name, valid);
  }
  inNfTables((socket) => {
    sweepSets(socket, () => masqueradePart(presentSubnets(socket)), isStale);
    sweepSets(socket, guardPart, isStale);
  });
}

function removeOwnRules(owner: PodOwner): void {
  inNfTables((socket) => {
    runAll([masqueradeSets, guardSets].map((sets) => (): unknown => dropEntries(socket, sets, owner)));
  });
}

/** An address or a device that this attachment was given is no other's any more, whoever still has rules for it. */
function nobodyElse(): boolean {
  return false;
}

function ownerOf(request: CniRequest): NamedOwner {
  const attachment = attachmentOf(request);
  return { ...attachment, device: hostVethName(attachment), pod: request.args.podName };
}

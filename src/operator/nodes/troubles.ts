import { type Cidr, cidrsOverlap, formatCidr, parseCidr } from "../../addr/cidr.ts";
import { compareIp, families, type Family, formatIp } from "../../addr/ip.ts";
import { errorText } from "../../base/error.ts";
import { decodeVtepMac, findVtepMac } from "../../backend/vxlan-data.ts";
import { decodeVxlanOptions } from "../../backend/vxlan-config.ts";
import { vxlanType } from "../../backend/wanted.ts";
import { Decoder } from "../../base/decode.ts";
import type { Lease } from "../../lease/lease.ts";
import type { NetworkConfig } from "../../lease/network-config.ts";
import { checkContained, isManaged, leaseOfText, nodeText } from "../../sources/kube/node-lease.ts";
import type { ClusterNode } from "./node.ts";

/** What is wrong with nodes, by name; a node that is well is not in it. */
export type Troubles = ReadonlyMap<string, readonly string[]>;

/** Stands for a network that is not known. */
const anyNetwork: Cidr = parseCidr("0.0.0.0/0");

/** Finds what keeps nodes' pods from reaching each other, as far as their objects tell. */
export function findTroubles(
  nodes: readonly ClusterNode[],
  { config, prefix }: { readonly config: NetworkConfig | undefined; readonly prefix: string },
): Troubles {
  const found = new Map<string, string[]>();
  const networks = config?.networks ?? { 4: anyNetwork, 6: undefined };
  const leases = new Map<string, Lease>();
  for (const node of nodes) {
    if (node.podCidrs.length === 0) tell(node.name, "no pod CIDR is assigned to it; kube-controller-manager does that");
    if (node.unavailable !== undefined) tell(node.name, `its condition NetworkUnavailable is ${node.unavailable}`);
    if (!isManaged(node.annotations)) {
      tell(node.name, `annotation ${prefix}kube-subnet-manager is not "true": no flannel daemon has run on it yet`);
    } else if (node.podCidrs.length > 0) {
      tryFor(node.name, () => {
        const lease = leaseOfText(node.name, nodeText(node), { networks });
        leases.set(node.name, lease);
        checkContained(node.name, lease.subnets, { networks });
      });
    }
  }
  for (const [name, lease] of leases) tryFor(name, () => checkBackend(lease, config));
  for (const family of families) tellOverlaps(leases, family, tell);
  tellShared(
    leases,
    "public IP",
    (lease) => families.flatMap((family) => lease.publicIps[family] ?? []).map(formatIp),
    tell,
  );
  tellShared(leases, "VTEP MAC", vtepMacs, tell);
  return found;

  function tell(name: string, text: string): void {
    found.set(name, [...(found.get(name) ?? []), text]);
  }

  function tryFor(name: string, check: () => void): void {
    try {
      check();
    } catch (error) {
      tell(name, errorText(error));
    }
  }
}

type Tell = (name: string, text: string) => void;

/** Throws an Error where what a node publishes does not go with the network's configuration. */
function checkBackend({ backendType, backendData }: Lease, config: NetworkConfig | undefined): void {
  if (config !== undefined && backendType !== config.backend.type) {
    throw new Error(`its backend is "${backendType}", the network's is "${config.backend.type}"`);
  }
  if (backendType !== vxlanType) return;
  decodeVtepMac(backendData[4]);
  const vni = new Decoder(backendData[4], "BackendData").field("VNI").integer();
  const wanted = config === undefined ? vni : decodeVxlanOptions(config.backend.json).vni;
  if (vni !== wanted) throw new Error(`its VNI is ${vni}, the network's is ${wanted}`);
}

function vtepMacs({ backendType, backendData }: Lease): readonly string[] {
  const mac = backendType === vxlanType ? findVtepMac(backendData[4]) : undefined;
  return mac === undefined ? [] : [mac];
}

/** In the order of addresses, a subnet that overlaps with any before it does so with the one that reaches furthest. */
function tellOverlaps(leases: ReadonlyMap<string, Lease>, family: Family, tell: Tell): void {
  const entries = [...leases].flatMap(([name, { subnets }]) => {
    const subnet = subnets[family];
    return subnet === undefined ? [] : [{ name, subnet }];
  });
  entries.sort((left, right) => {
    return compareIp(left.subnet.address, right.subnet.address) || left.subnet.prefixLength - right.subnet.prefixLength;
  });
  let widest = entries[0];
  for (const entry of entries.slice(1)) {
    if (widest !== undefined && cidrsOverlap(widest.subnet, entry.subnet)) {
      tell(entry.name, overlapText(entry.subnet, widest));
      tell(widest.name, overlapText(widest.subnet, entry));
    } else {
      widest = entry;
    }
  }
}

function overlapText(own: Cidr, other: { readonly name: string; readonly subnet: Cidr }): string {
  return `its pod CIDR ${formatCidr(own)} overlaps with ${formatCidr(other.subnet)} of node "${other.name}"`;
}

function tellShared(
  leases: ReadonlyMap<string, Lease>,
  what: string,
  valuesOf: (lease: Lease) => readonly string[],
  tell: Tell,
): void {
  const holders = new Map<string, string[]>();
  for (const [name, lease] of leases) {
    for (const value of valuesOf(lease)) holders.set(value, [...(holders.get(value) ?? []), name]);
  }
  for (const [value, names] of holders) {
    for (const name of names.length < 2 ? [] : names) {
      const others = names.filter((other) => other !== name);
      tell(name, `its ${what} ${value} is also that of node ${others.map((other) => `"${other}"`).join(", ")}`);
    }
  }
}

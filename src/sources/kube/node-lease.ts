/** Leases as Node objects tell them, by upstream's rules (pkg/subnet/kube/kube.go). */
import { type Cidr, cidrContains, findCidr, formatCidr, networkOf } from "../../addr/cidr.ts";
import {
  type ByFamily,
  families,
  type Family,
  findIp,
  formatIp,
  type IpAddress,
  isUnspecified,
} from "../../addr/ip.ts";
import { type Json, parseJson } from "../../base/decode.ts";
import { formatLeaseKey } from "../../lease/key.ts";
import type { Lease, LeaseAttributes, NodeWishes } from "../../lease/lease.ts";
import { leaseOf } from "../../lease/lease-json.ts";
import type { NetworkConfig } from "../../lease/network-config.ts";
import type { AnnotationName } from "./annotations.ts";
import type { NodeRecord } from "./node-record.ts";

/** Annotations by name without prefix. */
export type Annotations = ReadonlyMap<AnnotationName, string>;

const managedValue = "true";
/** Between the fields of a node's text. Nothing that stands in an annotation in earnest has it. */
const separator = "\0";

/** True for a node of flannel's. */
export function isManaged(annotations: Annotations): boolean {
  return annotations.get("kube-subnet-manager") === managedValue;
}

/** The six fields that make a node's lease, as one text: as long as it is the same one, so is the lease. */
export function nodeText({ podCidrs, annotations }: Pick<NodeRecord, "podCidrs" | "annotations">): string {
  return [
    podCidrs.join(","),
    annotations.get("backend-type") ?? "",
    annotations.get("backend-data") ?? "",
    annotations.get("backend-v6-data") ?? "",
    annotations.get("public-ip") ?? "",
    annotations.get("public-ipv6") ?? "",
  ].join(separator);
}

/** The lease of a node, in the families that the configuration has. Throws an Error that says what is wrong with it. */
export function leaseOfText(name: string, text: string, config: Pick<NetworkConfig, "networks">): Lease {
  const [cidrs = "", backendType = "", data = "", dataV6 = "", publicIp = "", publicIpV6 = "", ...more] =
    text.split(separator);
  if (more.length > 0) throw new Error("an annotation has a NUL character");
  const subnets = podSubnets(name, cidrs === "" ? [] : cidrs.split(","), config);
  return leaseOf(formatLeaseKey(subnets), subnets, {
    publicIps: {
      4: config.networks[4] === undefined ? undefined : parsePublicIp(publicIp, 4),
      6: config.networks[6] === undefined ? undefined : parsePublicIp(publicIpV6, 6),
    },
    backendType,
    backendData: { 4: parseData(data, "backend-data"), 6: parseData(dataV6, "backend-v6-data") },
  });
}

/** The subnets that a node was given, of the families that the configuration has. Throws an Error. */
export function podSubnets(
  name: string,
  podCidrs: readonly string[],
  config: Pick<NetworkConfig, "networks">,
): ByFamily<Cidr> {
  if (podCidrs.length === 0) throw new Error(`node "${name}" pod cidr not assigned`);
  const cidrs = podCidrs.map((text) => {
    const cidr = findCidr(text);
    if (cidr === undefined) throw new Error(`node "${name}" has the pod CIDR "${text}", which is none`);
    return networkOf(cidr);
  });
  if (cidrs.length > 2) throw new Error(`node "${name}" pod cidrs should be IPv4/IPv6 only or dualstack`);
  const subnets = { 4: subnetOf(4), 6: subnetOf(6) };
  if (subnets[4] === undefined && config.networks[4] !== undefined) {
    throw new Error(`node "${name}" is missing IPv4 address on n.Spec.PodCIDRs: ${podCidrs.join(", ")}`);
  }
  return subnets;

  function subnetOf(family: Family): Cidr | undefined {
    return config.networks[family] === undefined ? undefined : cidrs.find((cidr) => cidr.family === family);
  }
}

/** Throws upstream's Error when a subnet that this node was given is not in the network. */
export function checkContained(name: string, subnets: ByFamily<Cidr>, config: Pick<NetworkConfig, "networks">): void {
  for (const family of families) {
    const [network, subnet] = [config.networks[family], subnets[family]];
    if (network === undefined || subnet === undefined) continue;
    if (cidrContains(network, subnet.address) && subnet.prefixLength >= network.prefixLength) continue;
    const kind = family === 4 ? "PodCIDR" : "IPv6 PodCIDR";
    throw new Error(
      `subnet "${formatCidr(network)}" specified in the flannel net config doesn't contain "${formatCidr(subnet)}" ${kind} of the "${name}" node`,
    );
  }
}

/** What a node publishes: the annotations that every flannel reads. */
export function annotationsOf(attributes: LeaseAttributes): Annotations {
  const { publicIps, backendType, backendData } = attributes;
  const annotations = new Map<AnnotationName, string>([
    ["kube-subnet-manager", managedValue],
    ["backend-type", backendType],
  ]);
  if (publicIps[4] !== undefined) {
    annotations.set("backend-data", JSON.stringify(backendData[4] ?? null));
    annotations.set("public-ip", formatIp(publicIps[4]));
  }
  if (publicIps[6] !== undefined) {
    annotations.set("backend-v6-data", JSON.stringify(backendData[6] ?? null));
    annotations.set("public-ipv6", formatIp(publicIps[6]));
  }
  return annotations;
}

/** What a node has published, as far as it can be read: a part of it may be of another program or another time. */
export function attributesOf(annotations: Annotations): LeaseAttributes {
  return {
    publicIps: {
      4: readable(() => parsePublicIp(text("public-ip"), 4)),
      6: readable(() => parsePublicIp(text("public-ipv6"), 6)),
    },
    backendType: text("backend-type"),
    backendData: {
      4: readable(() => parseData(text("backend-data"), "backend-data")),
      6: readable(() => parseData(text("backend-v6-data"), "backend-v6-data")),
    },
  };

  function text(name: AnnotationName): string {
    return annotations.get(name) ?? "";
  }
}

/** What an administrator asks of this node; `refuse` is told of each annotation that is no address, which is passed over. */
export function wishesOf(annotations: Annotations, refuse: (name: AnnotationName, value: string) => void): NodeWishes {
  return {
    publicIps: { 4: read("node-public-ip", 4), 6: read("node-public-ipv6", 6) },
    overwrites: { 4: read("public-ip-overwrite", 4), 6: read("public-ipv6-overwrite", 6) },
  };

  function read(name: AnnotationName, family: Family): IpAddress | undefined {
    const value = annotations.get(name) ?? "";
    if (value === "") return undefined;
    const address = findIp(value);
    if (address?.family === family && !isUnspecified(address)) return address;
    refuse(name, value);
    return undefined;
  }
}

/** Undefined for what throws. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function parsePublicIp(text: string, family: Family): IpAddress {
  const address = findIp(text);
  if (address?.family !== family || isUnspecified(address)) {
    const name = family === 4 ? "public-ip" : "public-ipv6";
    throw new Error(`annotation ${name} is "${text}", and must be an IPv${family} address`);
  }
  return address;
}

/** Absent and `null` are the same: what backends write that have nothing to tell. */
function parseData(text: string, name: AnnotationName): Json | undefined {
  if (text === "") return undefined;
  try {
    return parseJson(text) ?? undefined;
  } catch (error) {
    throw new Error(`annotation ${name} cannot be read`, { cause: error });
  }
}

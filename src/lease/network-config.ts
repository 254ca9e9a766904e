import {
  type Cidr,
  cidrContains,
  cidrOf,
  findCidr,
  isNetwork,
  lastAddress,
  networkOf,
  nextCidr,
} from "../addr/cidr.ts";
import { type ByFamily, type Family, familyBits, findIp, formatIp, type IpAddress, isUnspecified } from "../addr/ip.ts";
import { DecodeError, Decoder, parseJson } from "../base/decode.ts";
import { decodeMasquerade, type MasqueradeConfig } from "./masquerade-config.ts";

/** Which subnets of a network nodes get: those of one length whose first address is from `min` to `max`. */
export interface SubnetRange {
  /** The prefix length of a node's subnet. */
  readonly length: number;
  /** The first address of the first subnet. */
  readonly min: IpAddress;
  /** The first address of the last subnet. */
  readonly max: IpAddress;
}

/** The network's configuration: net-conf.json. A family that is off has neither network nor subnets. */
export interface NetworkConfig {
  readonly networks: ByFamily<Cidr>;
  readonly subnets: ByFamily<SubnetRange>;
  readonly backend: {
    /** In lower case; whether there is such a backend is not decided here. */
    readonly type: string;
    /** The member `Backend` with its other keys, which the backend of that type reads; absent when there is none. */
    readonly json: Decoder;
  };
  readonly masquerade: MasqueradeConfig;
  /** Accepted with either value: tartan always uses nf_tables. */
  readonly enableNftables: boolean;
}

/**
 * Reads net-conf.json by the rules that upstream applies where it hands out the subnets itself, with its messages
 * (pkg/subnet/config.go). Throws a DecodeError for what is wrong and for what tartan does not do yet.
 */
export function parseNetworkConfig(text: string): NetworkConfig {
  const config = decodeNetworkConfig(text);
  if (config.networks[6] !== undefined) {
    throw new DecodeError("EnableIPv6", "true is not supported yet, only IPv4 is; leave it out or set it to false");
  }
  if (config.networks[4] === undefined) {
    throw new DecodeError("EnableIPv4", "false is not supported yet; leave it out or set it to true");
  }
  return config;
}

/** Reads net-conf.json with both address families. Throws a DecodeError for what is wrong. */
export function decodeNetworkConfig(text: string): NetworkConfig {
  const document = new Decoder(parseJson(text));
  if (document.object() === undefined) document.fail("an object");
  const backend = decodeBackend(document.field("Backend"));
  const enableNftables = document.field("EnableNFTables").boolean() ?? false;
  const ipv4 = document.field("EnableIPv4").boolean() ?? true;
  const ipv6 = document.field("EnableIPv6").boolean() ?? false;
  if (!ipv4 && !ipv6)
    throw new DecodeError("EnableIPv4", "none defined stack: EnableIPv4 and EnableIPv6 are both false");
  const network4 = ipv4 ? decodeNetwork(document, 4) : undefined;
  const network6 = ipv6 ? decodeNetwork(document, 6) : undefined;
  return {
    networks: { 4: network4, 6: network6 },
    subnets: {
      4: network4 === undefined ? undefined : decodeRange(document, network4),
      6: network6 === undefined ? undefined : decodeRange(document, network6),
    },
    backend,
    masquerade: decodeMasquerade(document),
    enableNftables,
  };
}

/** No backend means vxlan, as upstream documents it; its code says udp there, which nobody wants. */
function decodeBackend(json: Decoder): NetworkConfig["backend"] {
  try {
    return { type: (json.field("Type").string() ?? "vxlan").toLowerCase(), json };
  } catch (error) {
    throw new DecodeError("Backend", "error decoding Backend property of config", { cause: error });
  }
}

function decodeNetwork(document: Decoder, family: Family): Cidr {
  const name = networkKey(family);
  const field: Decoder = document.field(name);
  const text = field.string();
  const cidr = text === undefined ? undefined : findCidr(text);
  if (text !== undefined && cidr === undefined) field.fail("a CIDR");
  if (cidr !== undefined && cidr.family !== family) throw new DecodeError(name, `invalid IPv${family} CIDR format`);
  if (cidr === undefined || (isUnspecified(cidr.address) && cidr.prefixLength === 0)) {
    throw new DecodeError(name, `please define a correct ${name} parameter in the flannel config`);
  }
  return networkOf(cidr);
}

function decodeRange(document: Decoder, network: Cidr): SubnetRange {
  const length = decodeLength(document, network);
  // The first subnet is left out: its base, which becomes a node's own address, would be the network's as well.
  const first = nextCidr(cidrOf(network.address, length)).address;
  const last = networkOf(cidrOf(lastAddress(network), length)).address;
  return {
    length,
    min: decodeBound(document, { name: `${keyPrefix(network.family)}SubnetMin`, network, length }) ?? first,
    max: decodeBound(document, { name: `${keyPrefix(network.family)}SubnetMax`, network, length }) ?? last,
  };
}

function decodeLength(document: Decoder, network: Cidr): number {
  const { family, prefixLength } = network;
  const bits = familyBits(family);
  const name = `${keyPrefix(family)}SubnetLen`;
  const length = document.field(name).integer(0, 0xffff_ffff) ?? 0;
  if (length > 0) {
    // Room for the addresses of a tunnel device and of a bridge on each node.
    if (length > bits - 2) throw new DecodeError(name, `SubnetLen must be less than /${bits - 1}`);
    if (length < prefixLength + 2) {
      throw new DecodeError(name, "network must be able to accommodate at least four subnets");
    }
    return length;
  }
  if (prefixLength > bits - 4) {
    const subject = family === 4 ? "network" : "IPv6Network";
    throw new DecodeError(networkKey(family), `${subject} is too small. Minimum useful network prefix is /${bits - 4}`);
  }
  const usual = family === 4 ? 24 : 64;
  return prefixLength <= usual - 2 ? usual : prefixLength + 2;
}

interface Bound {
  readonly name: string;
  readonly network: Cidr;
  readonly length: number;
}

/** Undefined when absent; the unspecified address asks for the default too. */
function decodeBound(document: Decoder, { name, network, length }: Bound): IpAddress | undefined {
  const { family } = network;
  const field: Decoder = document.field(name);
  const text = field.string();
  if (text === undefined) return undefined;
  const address = findIp(text);
  if (address?.family !== family) field.fail(`an IPv${family} address`);
  if (isUnspecified(address)) return undefined;
  if (!cidrContains(network, address)) {
    throw new DecodeError(name, `${name} is not in the range of the ${networkKey(family)}`);
  }
  if (!isNetwork(cidrOf(address, length))) {
    throw new DecodeError(name, `${name} is not on a SubnetLen boundary: ${formatIp(address)}`);
  }
  return address;
}

function networkKey(family: Family): "Network" | "IPv6Network" {
  return family === 4 ? "Network" : "IPv6Network";
}

function keyPrefix(family: Family): "" | "IPv6" {
  return family === 4 ? "" : "IPv6";
}

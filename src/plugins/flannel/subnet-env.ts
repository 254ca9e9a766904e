import { type Cidr, cidrEquals, findCidr, networkOf } from "../../addr/cidr.ts";

/** What the plugin takes from subnet.env: the daemon's word on the network and on this node's part of it. */
export interface SubnetEnv {
  /** The networks of the whole cluster, IPv4's first. */
  readonly networks: readonly Cidr[];
  /** This node's subnets, IPv4's first. */
  readonly subnets: readonly Cidr[];
  readonly mtu: number;
  /** True when the daemon masquerades, so that the delegate need not. */
  readonly ipMasq: boolean;
}

const networkKeys = ["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"];
const subnetKeys = ["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"];
const mtuKey = "FLANNEL_MTU";
const ipMasqKey = "FLANNEL_IPMASQ";
const knownKeys: readonly string[] = [...networkKeys, ...subnetKeys, mtuKey, ipMasqKey];

/**
 * Reads the text as upstream's plugin does (cni-plugin, flannel.go): plain `KEY=value` lines without quotes, comments or
 * trimming. `path` names the file in errors. Throws an Error for what is wrong or missing.
 */
export function parseSubnetEnv(text: string, path: string): SubnetEnv {
  const values = parseLines(text);
  const networks: Cidr[] = [];
  for (const key of networkKeys) {
    for (const network of values.get(key)?.split(",") ?? []) addNew(networks, parseNetwork(network));
  }
  const subnets: Cidr[] = [];
  for (const key of subnetKeys) {
    const subnet = values.get(key);
    if (subnet !== undefined) subnets.push(parseNetwork(subnet));
  }
  const mtu = values.get(mtuKey);
  const ipMasq = values.get(ipMasqKey);
  const missing = [
    ...(networks.length === 0 ? networkKeys : []),
    ...(subnets.length === 0 ? subnetKeys : []),
    ...(mtu === undefined ? [mtuKey] : []),
    ...(ipMasq === undefined ? [ipMasqKey] : []),
  ];
  if (mtu === undefined || missing.length > 0) throw new Error(`${path} is missing ${missing.join(", ")}`);
  return { networks, subnets, mtu: parseMtu(mtu), ipMasq: ipMasq === "true" };
}

function parseLines(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const ended of text.split("\n")) {
    const line = ended.endsWith("\r") ? ended.slice(0, -1) : ended;
    const equals = line.indexOf("=");
    const key = equals < 0 ? line : line.slice(0, equals);
    if (!knownKeys.includes(key)) continue;
    if (equals < 0) throw new Error(`line "${line}" has no "="`);
    values.set(key, line.slice(equals + 1));
  }
  return values;
}

function parseNetwork(text: string): Cidr {
  const cidr = findCidr(text);
  if (cidr === undefined) throw new Error(`invalid CIDR address: ${text}`);
  return networkOf(cidr);
}

function parseMtu(text: string): number {
  let mtu = 0;
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    mtu = digit >= 0 && digit <= 9 ? mtu * 10 + digit : Number.NaN;
  }
  if (text === "" || text.length > 9 || Number.isNaN(mtu)) throw new Error(`${mtuKey} is "${text}", wanted a number`);
  return mtu;
}

function addNew(cidrs: Cidr[], cidr: Cidr): void {
  for (const known of cidrs) if (cidrEquals(known, cidr)) return;
  cidrs.push(cidr);
}

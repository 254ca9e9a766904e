/** subnet.env: what the daemon tells the CNI plugin, and its own next run. */
import { type Cidr, cidrOf, findCidr, firstHost, formatCidr, networkOf } from "../addr/cidr.ts";
import { type ByFamily, families, type Family } from "../addr/ip.ts";
import { ensureDirectory, findText, replaceFile } from "../sys/file.ts";

/** What subnet.env says. A family that is off has neither network nor subnet. */
export interface SubnetFile {
  /** The networks of the whole cluster. */
  readonly networks: ByFamily<Cidr>;
  /** This node's subnets. */
  readonly subnets: ByFamily<Cidr>;
  /** The MTU of the pods' interfaces. */
  readonly mtu: number;
  /** True when the daemon masquerades, so that the plugin's delegate need not. */
  readonly ipMasq: boolean;
}

/** The text of subnet.env: upstream's lines in upstream's order (pkg/subnet/subnet.go, WriteSubnetFile). */
export function formatSubnetFile(file: SubnetFile): string {
  const lines: string[] = [];
  for (const family of families) {
    const network = file.networks[family];
    const subnet = file.subnets[family];
    if (network === undefined || subnet === undefined) continue;
    lines.push(`${networkKey(family)}=${formatCidr(network)}`);
    lines.push(`${subnetKey(family)}=${formatCidr(cidrOf(firstHost(subnet), subnet.prefixLength))}`);
  }
  lines.push(`FLANNEL_MTU=${file.mtu}`, `FLANNEL_IPMASQ=${String(file.ipMasq)}`);
  return `${lines.join("\n")}\n`;
}

/** Puts subnet.env in place, mode 0644, with the directories above it, mode 0755. Throws a SyscallError. */
export function writeSubnetFile(path: string, file: SubnetFile): void {
  const directory = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  if (directory !== "") ensureDirectory(directory, 0o755);
  replaceFile(path, formatSubnetFile(file), 0o644);
}

/** The subnets this node had before, from subnet.env; none when there is no such file. Throws a SyscallError. */
export function readPreviousSubnets(path: string): ByFamily<Cidr> {
  return parsePreviousSubnets(findText(path) ?? "");
}

/**
 * The node's subnets in the text of subnet.env, which upstream reads back as a list of CIDRs in dotenv syntax: one that
 * is invalid or of the other family is passed over, and more than one says nothing about which it was.
 */
export function parsePreviousSubnets(text: string): ByFamily<Cidr> {
  const values = parseDotenv(text);
  return { 4: previousSubnet(4), 6: previousSubnet(6) };

  function previousSubnet(family: Family): Cidr | undefined {
    const words = (values.get(subnetKey(family)) ?? "").split(",");
    const cidrs = words.map((word) => findCidr(word.trim())).filter((cidr) => cidr?.family === family);
    const [only, ...more] = cidrs;
    return only === undefined || more.length > 0 ? undefined : networkOf(only);
  }
}

/** `KEY=value` or `KEY: value`, perhaps with `export`, quotes, or a comment; of several the last wins. */
function parseDotenv(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?([\w.]+)\s*[=:]\s*(.*?)\s*$/.exec(line);
    const [, key, value] = match ?? [];
    if (key !== undefined && value !== undefined) values.set(key, unquote(value));
  }
  return values;
}

function unquote(value: string): string {
  const quoted = /^(["'])(.*?)\1\s*(?:#.*)?$/.exec(value);
  return quoted?.[2] ?? value.replace(/(?:^|\s+)#.*$/, "");
}

function networkKey(family: Family): string {
  return family === 4 ? "FLANNEL_NETWORK" : "FLANNEL_IPV6_NETWORK";
}

function subnetKey(family: Family): string {
  return family === 4 ? "FLANNEL_SUBNET" : "FLANNEL_IPV6_SUBNET";
}

import { type Cidr, findCidr } from "../../addr/cidr.ts";
import { families, findIp, ipEquals, type IpAddress } from "../../addr/ip.ts";
import type { Decoder } from "../../base/decode.ts";
import { argError } from "../../cni/args.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import type { CniRequest } from "../../cni/plugin.ts";
import { type CniRoute, decodeRoutes } from "../../cni/result.ts";
import { isAtLeast } from "../../cni/version.ts";
import { planRangeSets, type RangeSet, type RangeSpec } from "./range.ts";

/** The configuration of host-local (the reference's documentation, plugins/ipam/host-local). */
export interface HostLocalConfig {
  /** Directory of this network's addresses. */
  readonly directory: string;
  readonly rangeSets: readonly RangeSet[];
  readonly routes: readonly CniRoute[];
  /** A resolv.conf whose content goes into the result; "" for none. */
  readonly resolvConf: string;
}

const defaultDataDir = "/var/lib/cni/networks";

/** Reads and checks what ADD needs. Throws a CniError or a DecodeError. */
export function decodeHostLocalConfig(request: Pick<CniRequest, "config">): HostLocalConfig {
  const config = decodeForCheck(request);
  if (config.rangeSets.length === 0) throw new CniError(cniCode.invalidConfig, "no IP ranges specified");
  return config;
}

/** Like decodeHostLocalConfig, but without ranges as well. */
export function decodeForCheck(request: Pick<CniRequest, "config">): HostLocalConfig {
  const { decoder, cniVersion } = request.config;
  const ipam = decodeIpam(request);
  const rangeSets = planRangeSets(decodeRangeSets(ipam, decoder.field("runtimeConfig").field("ipRanges")));
  // CNI 0.2.0 and older have one place for an address of each family.
  if (!isAtLeast(cniVersion, "0.3.0") && hasSeveralOfAFamily(rangeSets)) {
    const message = `CNI version ${cniVersion} does not support more than 1 address per family`;
    throw new CniError(cniCode.invalidConfig, message);
  }
  return {
    directory: decodeDirectory(request),
    rangeSets,
    routes: decodeRoutes(ipam.field("routes")),
    resolvConf: ipam.field("resolvConf").string() ?? "",
  };
}

/**
 * The directory of this network's addresses, all that DEL and GC need: addresses are freed by their owner, whatever has
 * become of the ranges since. Throws a CniError or a DecodeError.
 */
export function decodeDirectory(request: Pick<CniRequest, "config">): string {
  return directoryIn(decodeIpam(request).field("dataDir").string() ?? "", request);
}

/** The directory of a network's addresses in `dataDir`; "" is the usual one. */
export function directoryIn(dataDir: string, { config: { name } }: Pick<CniRequest, "config">): string {
  return `${dataDir === "" ? defaultDataDir : dataDir}/${name}`;
}

function decodeIpam({ config }: Pick<CniRequest, "config">): Decoder {
  const ipam = config.decoder.field("ipam");
  if (ipam.absent) throw new CniError(cniCode.invalidConfig, "IPAM config missing 'ipam' key");
  return ipam;
}

/** The addresses asked for: by CNI_ARGS, by args.cni and by the runtime's capability, all of them together, each once. */
export function decodeRequestedAddresses(request: CniRequest): readonly IpAddress[] {
  const { decoder } = request.config;
  const addresses: IpAddress[] = [];
  const argument = request.args.get("IP") ?? "";
  if (argument !== "") {
    const address = findAddress(argument);
    if (address === undefined) throw argError("IP", argument, `invalid IP address ${argument}`);
    addresses.push(address);
  }
  for (const list of [decoder.field("args").field("cni").field("ips"), decoder.field("runtimeConfig").field("ips")]) {
    for (const item of list.list()) {
      const text = item.string() ?? "";
      const address = findAddress(text);
      if (address === undefined) throw new CniError(cniCode.invalidConfig, `invalid IP address ${text}`);
      addresses.push(address);
    }
  }
  return unique(addresses);
}

function hasSeveralOfAFamily(rangeSets: readonly RangeSet[]): boolean {
  return families.some((family) => rangeSets.filter((set) => set.family === family).length > 1);
}

function unique(addresses: readonly IpAddress[]): readonly IpAddress[] {
  if (addresses.length < 2) return addresses;
  return addresses.filter((address, index) => addresses.findIndex((other) => ipEquals(other, address)) === index);
}

/** The runtime's ranges, then the one range of old configurations, then the list. */
function decodeRangeSets(ipam: Decoder, runtimeRanges: Decoder): readonly (readonly RangeSpec[])[] {
  const old = ipam.field("subnet").absent ? [] : [[decodeRange(ipam)]];
  return [...decodeSets(runtimeRanges), ...old, ...decodeSets(ipam.field("ranges"))];
}

function decodeSets(json: Decoder): readonly (readonly RangeSpec[])[] {
  return json.list().map((set) => set.list().map(decodeRange));
}

function decodeRange(json: Decoder): RangeSpec {
  return {
    subnet: decodeSubnet(json.field("subnet")),
    rangeStart: decodeAddress(json.field("rangeStart")),
    rangeEnd: decodeAddress(json.field("rangeEnd")),
    gateway: decodeAddress(json.field("gateway")),
  };
}

function decodeSubnet(json: Decoder): Cidr {
  const text = json.string() ?? "";
  const subnet = findCidr(text);
  // An IPv4 subnet in the form of an IPv6 address is none: the reference's mask would be of the wrong length.
  if (subnet === undefined || (subnet.family === 4 && text.includes(":"))) json.fail("a subnet like 10.244.1.0/24");
  return subnet;
}

/** An empty text is no address, as Go's net.IP reads it. */
function decodeAddress(json: Decoder): IpAddress | undefined {
  const text = json.string() ?? "";
  return text === "" ? undefined : (findIp(text) ?? json.fail("an IP address"));
}

/** An address asked for may come with a prefix length, which says nothing: the range's counts. */
function findAddress(text: string): IpAddress | undefined {
  return text.includes("/") ? findCidr(text)?.address : findIp(text);
}

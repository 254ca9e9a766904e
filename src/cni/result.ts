import { type Cidr, findCidr } from "../addr/cidr.ts";
import { findIp, type IpAddress } from "../addr/ip.ts";
import type { Decoder } from "../base/decode.ts";
import { CniError, cniCode } from "./error.ts";
import { type CniVersion, isAtLeast, isCniVersion } from "./version.ts";

/** What ADD made, in the terms of version 1.1.0, in which everything is computed. */
export interface CniResult {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniIp[];
  readonly routes: readonly CniRoute[];
  readonly dns: CniDns | undefined;
}

/** A network device, of the host or, with `sandbox`, of a container. */
export interface CniInterface {
  readonly name: string;
  readonly mac: string | undefined;
  /** Path of the container's network namespace; undefined for a device of the host. */
  readonly sandbox: string | undefined;
  readonly mtu: number | undefined;
  readonly socketPath: string | undefined;
  readonly pciId: string | undefined;
}

/** An address with its subnet's prefix length. */
export interface CniIp {
  readonly address: Cidr;
  readonly gateway: IpAddress | undefined;
  /** Its device's place in `interfaces`; 0 is the first device, undefined is none. */
  readonly interfaceIndex: number | undefined;
}

/** A route of the container; without gateway it goes by the gateway of its family's address. */
export interface CniRoute {
  readonly destination: Cidr;
  readonly gateway: IpAddress | undefined;
  readonly mtu: number | undefined;
  readonly advmss: number | undefined;
  readonly priority: number | undefined;
  readonly table: number | undefined;
  readonly scope: number | undefined;
}

/** What goes into a container's resolv.conf. */
export interface CniDns {
  readonly nameservers: readonly string[];
  readonly domain: string | undefined;
  readonly search: readonly string[];
  readonly options: readonly string[];
}

const largestU32 = 0xffff_ffff;

/**
 * Reads a result in the version it names, or in the configuration's when it names none. Throws a DecodeError, and a
 * CniError, code 6, for a version that does not exist.
 */
export function decodeResult(json: Decoder, configVersion: CniVersion): CniResult {
  const written = json.field("cniVersion").string() ?? "";
  const version = written === "" ? configVersion : written;
  if (!isCniVersion(version)) {
    throw new CniError(cniCode.decodingFailure, `unsupported CNI result version "${version}"`);
  }
  const dns = decodeDns(json.field("dns"));
  if (!isAtLeast(version, "0.3.0")) return { ...decodeFamilies(json), interfaces: [], dns };
  return {
    interfaces: json.field("interfaces").list().map(decodeInterface),
    ips: json.field("ips").list().map(decodeIp),
    routes: decodeRoutes(json.field("routes")),
    dns,
  };
}

/** Reads a list of routes, of a result or of a configuration. Throws a DecodeError. */
export function decodeRoutes(json: Decoder): readonly CniRoute[] {
  const routes = json.list().filter((route) => !route.absent);
  return routes.map((route) => ({
    destination: requireCidr(route.field("dst")),
    gateway: findAddress(route.field("gw")),
    mtu: positive(route.field("mtu")),
    advmss: positive(route.field("advmss")),
    priority: positive(route.field("priority")),
    table: route.field("table").natural(largestU32),
    scope: route.field("scope").integer(0, 255),
  }));
}

/** Reads DNS settings; undefined when they say nothing. Throws a DecodeError. */
export function decodeDns(json: Decoder): CniDns | undefined {
  const dns = {
    nameservers: decodeTexts(json.field("nameservers")),
    domain: nonEmpty(json.field("domain")),
    search: decodeTexts(json.field("search")),
    options: decodeTexts(json.field("options")),
  };
  const says = dns.domain !== undefined || dns.nameservers.length + dns.search.length + dns.options.length > 0;
  return says ? dns : undefined;
}

/** 0.1.0 and 0.2.0 know one address of each family, with its routes. */
function decodeFamilies(json: Decoder): Pick<CniResult, "ips" | "routes"> {
  const ips: CniIp[] = [];
  const routes: CniRoute[] = [];
  for (const key of ["ip4", "ip6"]) {
    const entry = json.field(key);
    if (entry.absent) continue;
    const gateway = findAddress(entry.field("gateway"));
    ips.push({ address: requireCidr(entry.field("ip")), gateway, interfaceIndex: undefined });
    routes.push(...decodeRoutes(entry.field("routes")));
  }
  return { ips, routes };
}

function decodeInterface(json: Decoder): CniInterface {
  return {
    name: json.field("name").string() ?? "",
    mac: nonEmpty(json.field("mac")),
    sandbox: nonEmpty(json.field("sandbox")),
    mtu: positive(json.field("mtu")),
    socketPath: nonEmpty(json.field("socketPath")),
    pciId: nonEmpty(json.field("pciID")),
  };
}

/** The `version` of 0.3.0 to 0.4.0 says what the address says already. */
function decodeIp(json: Decoder): CniIp {
  return {
    address: requireCidr(json.field("address")),
    gateway: findAddress(json.field("gateway")),
    interfaceIndex: json.field("interface").integer(),
  };
}

function decodeTexts(json: Decoder): readonly string[] {
  return json.list().map((item) => item.string() ?? "");
}

function requireCidr(json: Decoder): Cidr {
  const cidr = findCidr(json.string() ?? "");
  return cidr ?? json.fail("an address with a prefix length");
}

/** An empty text is no address, as Go's net.IP reads it. */
function findAddress(json: Decoder): IpAddress | undefined {
  const text = nonEmpty(json);
  return text === undefined ? undefined : (findIp(text) ?? json.fail("an IP address"));
}

/** The reference leaves 0 out when it writes these numbers, so that 0 reads as absent. */
function positive(json: Decoder): number | undefined {
  const number = json.natural(largestU32);
  return number === 0 ? undefined : number;
}

function nonEmpty(json: Decoder): string | undefined {
  const text = json.string() ?? "";
  return text === "" ? undefined : text;
}

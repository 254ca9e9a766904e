import { formatCidr } from "../addr/cidr.ts";
import { type Family, families, formatIp } from "../addr/ip.ts";
import type { Json, JsonObject } from "../base/decode.ts";
import type { CniDns, CniInterface, CniIp, CniResult, CniRoute } from "./result.ts";
import { type CniVersion, isAtLeast } from "./version.ts";

/**
 * A result in the form of a version, as the reference converts it (cni, pkg/types). Throws an Error when the version
 * cannot hold it: 0.1.0 and 0.2.0 need an address.
 */
export function encodeResult(result: CniResult, version: CniVersion): JsonObject {
  return isAtLeast(version, "0.3.0") ? encodeLists(result, version) : encodeFamilies(result, version);
}

/**
 * Routes as a result or a configuration holds them. The numbers are 1.1.0's, yet the reference writes them in every
 * version from 0.3.0 on, and a plugin that executes host-local needs them.
 */
export function encodeRoutes(routes: readonly CniRoute[]): readonly JsonObject[] {
  return routes.map((route) => {
    const { mtu, advmss, priority, table, scope } = route;
    return present({ ...encodeHop(route), mtu, advmss, priority, table, scope });
  });
}

function encodeLists(result: CniResult, version: CniVersion): JsonObject {
  const { interfaces, ips, routes, dns } = result;
  return present({
    cniVersion: version,
    interfaces: nonEmpty(interfaces.map((item) => encodeInterface(item, version))),
    ips: nonEmpty(ips.map((ip) => encodeIp(ip, version))),
    routes: nonEmpty(encodeRoutes(routes)),
    // Runtimes of the days of 0.x were written against libraries that always print it.
    dns: dns === undefined && isAtLeast(version, "1.0.0") ? undefined : encodeDns(dns),
  });
}

function encodeFamilies(result: CniResult, version: CniVersion): JsonObject {
  const [ip4, ip6] = families.map((family) => encodeFamily(result, family));
  if (ip4 === undefined && ip6 === undefined) throw new Error("cannot convert: no valid IP addresses");
  return present({ cniVersion: version, ip4, ip6, dns: encodeDns(result.dns) });
}

/** The first address of a family with the family's routes; undefined, and the routes with it, when there is none. */
function encodeFamily(result: CniResult, family: Family): JsonObject | undefined {
  const ip = result.ips.find(({ address }) => address.family === family);
  if (ip === undefined) return undefined;
  const routes = result.routes.filter(({ destination }) => destination.family === family);
  return present({
    ip: formatCidr(ip.address),
    gateway: ip.gateway === undefined ? undefined : formatIp(ip.gateway),
    routes: nonEmpty(routes.map((route) => present(encodeHop(route)))),
  });
}

function encodeInterface(item: CniInterface, version: CniVersion): JsonObject {
  const { name, mac, sandbox, mtu, socketPath, pciId } = item;
  const newer = isAtLeast(version, "1.1.0") ? { mtu, socketPath, pciID: pciId } : {};
  return present({ name, mac, sandbox, ...newer });
}

function encodeIp(ip: CniIp, version: CniVersion): JsonObject {
  return present({
    version: isAtLeast(version, "1.0.0") ? undefined : String(ip.address.family),
    interface: ip.interfaceIndex,
    address: formatCidr(ip.address),
    gateway: ip.gateway === undefined ? undefined : formatIp(ip.gateway),
  });
}

function encodeHop(route: CniRoute): Readonly<Record<string, Json | undefined>> {
  const gw = route.gateway === undefined ? undefined : formatIp(route.gateway);
  return { dst: formatCidr(route.destination), gw };
}

function encodeDns(dns: CniDns | undefined): JsonObject {
  if (dns === undefined) return {};
  const { nameservers, domain, search, options } = dns;
  return present({
    nameservers: nonEmpty(nameservers),
    domain,
    search: nonEmpty(search),
    options: nonEmpty(options),
  });
}

function nonEmpty(list: readonly Json[]): readonly Json[] | undefined {
  return list.length === 0 ? undefined : list;
}

function present(members: Readonly<Record<string, Json | undefined>>): JsonObject {
  const object: Record<string, Json> = {};
  for (const key of Object.keys(members)) {
    const value = members[key];
    if (value !== undefined) object[key] = value;
  }
  return object;
}

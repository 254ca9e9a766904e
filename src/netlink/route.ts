/**
 * Routes.
 *
 *     struct rtmsg { unsigned char rtm_family, rtm_dst_len, rtm_src_len, rtm_tos, rtm_table, rtm_protocol, rtm_scope,
 *                    rtm_type; unsigned rtm_flags; };
 */
import { type Cidr, cidrOf, formatCidr } from "../addr/cidr.ts";
import { type Family, familyBits, formatIp, type IpAddress, ipFromBytes, isUnspecified } from "../addr/ip.ts";
import { ByteReader, type ByteWriter } from "../base/bytes.ts";
import { errno, failedWith } from "../sys/errno.ts";
import { Attributes, putBytes, putNested, putU32 } from "./attribute.ts";
import * as k from "./constants.ts";
import { addressFamily, findAddress, findFamily } from "./family.ts";
import { buildRequest, type Reply, type Request } from "./message.ts";
import { dumpOrNone, type NetlinkSocket } from "./socket.ts";

/** A route that is to be there. */
export interface RouteSpec {
  readonly destination: Cidr;
  readonly gateway: IpAddress | undefined;
  readonly interfaceIndex: number;
  /** True when the gateway counts as reachable through the device, although no route leads to it. */
  readonly onLink: boolean;
  /** Who made it: RTPROT_… (`ip route` calls it proto). */
  readonly protocol: number;
  /** RT_SCOPE_…: LINK for a route without gateway, UNIVERSE otherwise. */
  readonly scope: number;
  readonly table: number;
  readonly priority: number;
  /** Bytes of the path; undefined takes the device's. */
  readonly mtu: number | undefined;
  /** Bytes of TCP payload to announce (RTAX_ADVMSS). */
  readonly advmss: number | undefined;
}

/** A unicast route as the kernel reports it; one over several devices has none of its own. */
export interface Route extends Omit<RouteSpec, "interfaceIndex"> {
  readonly interfaceIndex: number | undefined;
  readonly source: IpAddress | undefined;
}

/** A route in the main table with the usual values of what is left out. */
export function routeSpec(spec: Pick<RouteSpec, "destination" | "interfaceIndex"> & Partial<RouteSpec>): RouteSpec {
  return {
    gateway: undefined,
    onLink: false,
    protocol: k.RTPROT_BOOT,
    scope: spec.gateway === undefined ? k.RT_SCOPE_LINK : k.RT_SCOPE_UNIVERSE,
    table: k.RT_TABLE_MAIN,
    priority: 0,
    mtu: undefined,
    advmss: undefined,
    ...spec,
  };
}

/** The unicast routes of one table, of one device or of all. Like: ip route show [dev D] [table T] */
export function listRoutes(
  socket: NetlinkSocket,
  family: Family,
  interfaceIndex?: number,
  table: number = k.RT_TABLE_MAIN,
): readonly Route[] {
  const request = buildRequest(k.RTM_GETROUTE, 0, "list routes", (writer) => {
    writer
      .u8(addressFamily(family))
      .zeros(3)
      .u8(table < 256 ? table : k.RT_TABLE_UNSPEC)
      .zeros(2)
      .u8(0)
      .u32(0);
    if (table >= 256) putU32(writer, k.RTA_TABLE, table);
    if (interfaceIndex !== undefined) putU32(writer, k.RTA_OIF, interfaceIndex);
  });
  return dumpOrNone(socket, request).flatMap((reply) => {
    const route = findDecodedRoute(reply);
    if (route === undefined || route.table !== table) return [];
    return interfaceIndex === undefined || route.interfaceIndex === interfaceIndex ? [route] : [];
  });
}

/**
 * The route that a packet to this address would take from here, with the source address it would have; undefined when
 * there is none, or the address is the host's own. Like: ip route get ADDRESS
 */
export function findRouteTo(socket: NetlinkSocket, address: IpAddress): Route | undefined {
  const request = buildRequest(k.RTM_GETROUTE, 0, `find route to ${formatIp(address)}`, (writer) => {
    writer.u8(addressFamily(address.family)).u8(familyBits(address.family)).zeros(10);
    putBytes(writer, k.RTA_DST, address.bytes);
  });
  try {
    const [reply] = socket.request(request);
    return reply === undefined ? undefined : findDecodedRoute(reply);
  } catch (error) {
    if (failedWith(error, errno.ENETUNREACH, errno.EHOSTUNREACH)) return undefined;
    throw error;
  }
}

/** Puts a route in place of the one with the same destination, table and priority. Like: ip route replace */
export function replaceRoute(spec: RouteSpec): Request {
  return routeRequest(k.RTM_NEWROUTE, k.NLM_F_CREATE | k.NLM_F_REPLACE, "set route", spec);
}

/** Adds a route before those of its destination; refused with EEXIST for an equal one. Like: ip route prepend */
export function addRoute(spec: RouteSpec): Request {
  return routeRequest(k.RTM_NEWROUTE, k.NLM_F_CREATE, "add route", spec);
}

/** Like: ip route delete */
export function deleteRoute(spec: RouteSpec): Request {
  return routeRequest(k.RTM_DELROUTE, 0, "delete route", spec);
}

/** Decodes RTM_NEWROUTE and RTM_DELROUTE; undefined for a route that is not unicast or not IP. */
export function findDecodedRoute(reply: Reply): Route | undefined {
  const reader = new ByteReader(reply.body);
  const family = findFamily(reader.u8());
  const prefixLength = reader.u8();
  reader.skip(2);
  const shortTable = reader.u8();
  const protocol = reader.u8();
  const scope = reader.u8();
  const type = reader.u8();
  const flags = reader.u32();
  if (family === undefined || type !== k.RTN_UNICAST) return undefined;
  const attributes = new Attributes(reader.bytes(reader.remaining));
  const metrics = attributes.nested(k.RTA_METRICS);
  const destination =
    findAddress(attributes.findBytes(k.RTA_DST)) ?? ipFromBytes(new Uint8Array(family === 4 ? 4 : 16));
  return {
    destination: cidrOf(destination, prefixLength),
    // struct rtvia { __kernel_sa_family_t rtvia_family; __u8 rtvia_addr[]; }: a gateway of the other family
    gateway: findAddress(attributes.findBytes(k.RTA_GATEWAY) ?? attributes.findBytes(k.RTA_VIA)?.subarray(2)),
    interfaceIndex: attributes.findU32(k.RTA_OIF),
    onLink: (flags & k.RTNH_F_ONLINK) !== 0,
    protocol,
    scope,
    table: attributes.findU32(k.RTA_TABLE) ?? shortTable,
    priority: attributes.findU32(k.RTA_PRIORITY) ?? 0,
    mtu: metrics.findU32(k.RTAX_MTU),
    advmss: metrics.findU32(k.RTAX_ADVMSS),
    source: findAddress(attributes.findBytes(k.RTA_PREFSRC)),
  };
}

/** True for 0.0.0.0/0 and ::/0. */
export function isDefaultRoute(destination: Cidr): boolean {
  return destination.prefixLength === 0 && isUnspecified(destination.address);
}

function routeRequest(type: number, flags: number, verb: string, spec: RouteSpec): Request {
  return buildRequest(
    type,
    flags,
    () => routeRequestText(verb, spec),
    (writer) => {
      // A table above 255 does not fit the header; the attribute holds it then (ip-route: RTA_TABLE).
      const table = spec.table < 256 ? spec.table : k.RT_TABLE_UNSPEC;
      writer.u8(addressFamily(spec.destination.family)).u8(spec.destination.prefixLength).zeros(2);
      writer.u8(table).u8(spec.protocol).u8(spec.scope).u8(k.RTN_UNICAST);
      writer.u32(spec.onLink ? k.RTNH_F_ONLINK : 0);
      if (spec.destination.prefixLength > 0) putBytes(writer, k.RTA_DST, spec.destination.address.bytes);
      if (spec.table >= 256) putU32(writer, k.RTA_TABLE, spec.table);
      if (spec.gateway !== undefined) putBytes(writer, k.RTA_GATEWAY, spec.gateway.bytes);
      putU32(writer, k.RTA_OIF, spec.interfaceIndex);
      if (spec.priority !== 0) putU32(writer, k.RTA_PRIORITY, spec.priority);
      putMetrics(writer, spec);
    },
  );
}

function routeRequestText(verb: string, { destination, gateway, interfaceIndex }: RouteSpec): string {
  const via = gateway === undefined ? "" : ` via ${formatIp(gateway)}`;
  return `${verb} ${formatCidr(destination)}${via} dev #${interfaceIndex}`;
}

function putMetrics(writer: ByteWriter, spec: RouteSpec): void {
  if (spec.mtu === undefined && spec.advmss === undefined) return;
  putNested(writer, k.RTA_METRICS, () => {
    if (spec.mtu !== undefined) putU32(writer, k.RTAX_MTU, spec.mtu);
    if (spec.advmss !== undefined) putU32(writer, k.RTAX_ADVMSS, spec.advmss);
  });
}

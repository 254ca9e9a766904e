/**
 * Connection tracking's table, as far as connections to a port of the host are concerned: the kernel goes on sending a
 * UDP flow where it began, whatever the rules say by now.
 *
 *     struct nfgenmsg { __u8 nfgen_family; __u8 version; __be16 res_id; };
 */
import { type Family, ipFromBytes, type IpAddress } from "../addr/ip.ts";
import type { ByteWriter } from "../base/bytes.ts";
import { errno, failedWith } from "../sys/errno.ts";
import { Attributes, nestedType, putBytes, putNested, putU16Be, putU32, putU8 } from "./attribute.ts";
import { addressFamily } from "./family.ts";
import { buildRequest, type Reply, type Request } from "./message.ts";
import { dumpOrNone, type NetlinkSocket } from "./socket.ts";

/** include/uapi/linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h */
const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const CTA_TUPLE_ORIG = 1;
const CTA_ID = 12;
const CTA_FILTER = 25;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
/** Linux 5.8, net/netfilter/nf_conntrack_netlink.c: which parts of the tuple an entry has to agree with. */
const filterProtocolNumber = 1 << 3;
const filterDestinationPort = 1 << 5;

/** Connections by protocol (IPPROTO_…) and the port that they were first sent to. */
export interface FlowFilter {
  readonly family: Family;
  readonly protocol: number;
  readonly port: number;
}

/** A connection. */
export interface Flow {
  /** The address that it was first sent to. */
  readonly destination: IpAddress;
  /** What names it to the kernel. */
  readonly tuple: Uint8Array;
  readonly id: Uint8Array | undefined;
  readonly family: Family;
}

/**
 * The connections that were first sent to a port. The kernel picks them out; one older than 5.8 tells all, so that each is
 * looked at here as well. Like: conntrack -L -p udp --orig-port-dst PORT
 */
export function listFlows(socket: NetlinkSocket, filter: FlowFilter): readonly Flow[] {
  const request = conntrackRequest(IPCTNL_MSG_CT_GET, "list connections", filter.family, (writer) => {
    putNested(writer, nestedType(CTA_TUPLE_ORIG), () => putService(writer, filter));
    putNested(writer, nestedType(CTA_FILTER), () => {
      putU32(writer, CTA_FILTER_ORIG_FLAGS, filterProtocolNumber | filterDestinationPort);
      putU32(writer, CTA_FILTER_REPLY_FLAGS, 0);
    });
  });
  return dumpOrNone(socket, request).flatMap((reply) => findFlow(reply, filter) ?? []);
}

/** Forgets a connection; false when it was gone. Like: conntrack -D … */
export function removeFlow(socket: NetlinkSocket, { family, tuple, id }: Flow): boolean {
  const request = conntrackRequest(IPCTNL_MSG_CT_DELETE, "forget a connection", family, (writer) => {
    putBytes(writer, nestedType(CTA_TUPLE_ORIG), tuple);
    // So that another one between the same ends, which came meanwhile, is not meant.
    if (id !== undefined) putBytes(writer, CTA_ID, id);
  });
  try {
    socket.request(request);
    return true;
  } catch (error) {
    if (failedWith(error, errno.ENOENT)) return false;
    throw error;
  }
}

function findFlow({ body }: Reply, filter: FlowFilter): Flow | undefined {
  const attributes = new Attributes(body.subarray(4));
  const tuple = attributes.findBytes(CTA_TUPLE_ORIG) ?? new Uint8Array(0);
  const parts = new Attributes(tuple);
  const service = parts.nested(CTA_TUPLE_PROTO);
  const address = parts.nested(CTA_TUPLE_IP).findBytes(filter.family === 4 ? CTA_IP_V4_DST : CTA_IP_V6_DST);
  if (service.findU8(CTA_PROTO_NUM) !== filter.protocol || service.findU16Be(CTA_PROTO_DST_PORT) !== filter.port) {
    return undefined;
  }
  if (address === undefined) return undefined;
  return { destination: ipFromBytes(address), tuple, id: attributes.findBytes(CTA_ID), family: filter.family };
}

function putService(writer: ByteWriter, { protocol, port }: FlowFilter): void {
  putNested(writer, nestedType(CTA_TUPLE_PROTO), () => {
    putU8(writer, CTA_PROTO_NUM, protocol);
    putU16Be(writer, CTA_PROTO_DST_PORT, port);
  });
}

function conntrackRequest(message: number, text: string, family: Family, fill: (writer: ByteWriter) => void): Request {
  return buildRequest((NFNL_SUBSYS_CTNETLINK << 8) | message, 0, text, (writer) => {
    writer.u8(addressFamily(family)).zeros(3);
    fill(writer);
  });
}

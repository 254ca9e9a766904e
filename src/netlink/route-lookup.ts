import type { IpAddress } from "../addr/ip.ts";
import { familyBits, formatIp } from "../addr/ip.ts";
import { ByteReader } from "../base/bytes.ts";
import { errno, failedWith } from "../sys/errno.ts";
import { Attributes, putBytes } from "./attribute.ts";
import * as k from "./constants.ts";
import { addressFamily } from "./family.ts";
import { buildRequest, type Reply } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

/** Offset of rtm_type in struct rtmsg, and the length of that (see route.ts). */
const typeOffset = 7;
const headerLength = 12;
const RTN_LOCAL = 2;

/** Where the kernel would send a packet to an address. */
export interface Destination {
  /** True when the address is one of this host's own. */
  readonly local: boolean;
  readonly interfaceIndex: number | undefined;
}

/** Asks the kernel where a packet would go; undefined when no route leads there. Like: ip route get ADDRESS */
export function findDestination(socket: NetlinkSocket, address: IpAddress): Destination | undefined {
  const request = buildRequest(k.RTM_GETROUTE, 0, `look up the route to ${formatIp(address)}`, (writer) => {
    writer.u8(addressFamily(address.family)).u8(familyBits(address.family)).zeros(10);
    putBytes(writer, k.RTA_DST, address.bytes);
  });
  try {
    const [reply] = socket.request(request);
    return reply === undefined ? undefined : decodeDestination(reply);
  } catch (error) {
    if (failedWith(error, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES)) return undefined;
    throw error;
  }
}

function decodeDestination({ body }: Reply): Destination {
  const reader = new ByteReader(body);
  reader.skip(typeOffset);
  const local = reader.u8() === RTN_LOCAL;
  reader.skip(headerLength - typeOffset - 1);
  const attributes = new Attributes(reader.bytes(reader.remaining));
  return { local, interfaceIndex: attributes.findU32(k.RTA_OIF) };
}

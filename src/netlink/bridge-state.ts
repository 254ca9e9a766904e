/** What bridges and their ports say of themselves that only few ask for. */
import { ByteReader } from "../base/bytes.ts";
import { Attributes } from "./attribute.ts";
import { IFLA_BRPORT_ISOLATED } from "./bridge-port.ts";
import * as k from "./constants.ts";
import { getLink } from "./link.ts";
import type { NetlinkSocket } from "./socket.ts";

/** Length of struct ifinfomsg. */
const headerLength = 16;
/** include/uapi/linux/if_link.h */
const IFLA_BR_VLAN_DEFAULT_PVID = 39;

/** True for a port that exchanges no frames with other isolated ports. Like: bridge -details link show dev PORT */
export function isIsolated(socket: NetlinkSocket, port: number): boolean {
  return readInfo(socket, port).nested(k.IFLA_INFO_SLAVE_DATA).findU8(IFLA_BRPORT_ISOLATED) === 1;
}

/** True for a bridge of a kernel that has VLANs of bridges (CONFIG_BRIDGE_VLAN_FILTERING), be they off. */
export function knowsVlans(socket: NetlinkSocket, bridge: number): boolean {
  return readInfo(socket, bridge).nested(k.IFLA_INFO_DATA).findBytes(IFLA_BR_VLAN_DEFAULT_PVID) !== undefined;
}

function readInfo(socket: NetlinkSocket, index: number): Attributes {
  const [reply] = socket.request(getLink({ index }));
  const reader = new ByteReader(reply?.body ?? new Uint8Array(headerLength));
  reader.skip(headerLength);
  return new Attributes(reader.bytes(reader.remaining)).nested(k.IFLA_LINKINFO);
}

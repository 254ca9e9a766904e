import { ByteReader } from "../base/bytes.ts";
import { Attributes } from "./attribute.ts";
import { IFLA_BRPORT_ISOLATED } from "./bridge-port.ts";
import * as k from "./constants.ts";
import { getLink } from "./link.ts";
import type { NetlinkSocket } from "./socket.ts";

/** Length of struct ifinfomsg. */
const headerLength = 16;

/** True for a port that exchanges no frames with other isolated ports. Like: bridge -details link show dev PORT */
export function isIsolated(socket: NetlinkSocket, index: number): boolean {
  const [reply] = socket.request(getLink({ index }));
  if (reply === undefined) return false;
  const reader = new ByteReader(reply.body);
  reader.skip(headerLength);
  const info = new Attributes(reader.bytes(reader.remaining)).nested(k.IFLA_LINKINFO);
  return info.nested(k.IFLA_INFO_SLAVE_DATA).findU8(IFLA_BRPORT_ISOLATED) === 1;
}

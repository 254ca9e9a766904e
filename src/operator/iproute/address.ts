/** The addresses of a device as `ip addr show` prints them, without their life times. */
import { formatIp } from "../../addr/ip.ts";
import { formatCidr } from "../../addr/cidr.ts";
import { findDecodedAddress } from "../../netlink/address.ts";
import { Attributes } from "../../netlink/attribute.ts";
import * as k from "../../netlink/constants.ts";
import { findAddress } from "../../netlink/family.ts";
import type { Link } from "../../netlink/link.ts";
import { buildRequest, type Reply } from "../../netlink/message.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import { scopeName } from "./scope.ts";

/** struct ifaddrmsg stands before the attributes. */
const headerLength = 8;

/** Like: ip addr show dev NAME, the lines that begin with inet */
export function addressLines(socket: NetlinkSocket, link: Link): readonly string[] {
  const request = buildRequest(k.RTM_GETADDR, 0, `list addresses of ${link.name}`, (writer) =>
    writer.u8(k.AF_UNSPEC).zeros(3).u32(link.index),
  );
  return socket.dump(request).flatMap(addressLine);
}

/** `    inet 10.244.1.6/24 brd 10.244.1.255 scope global eth0` */
function addressLine(reply: Reply): readonly string[] {
  const address = findDecodedAddress(reply);
  if (address === undefined) return [];
  const attributes = new Attributes(reply.body.subarray(headerLength));
  const broadcast = findAddress(attributes.findBytes(k.IFA_BROADCAST));
  const words = [
    address.address.family === 4 ? "inet" : "inet6",
    formatCidr(address.address),
    ...(broadcast === undefined ? [] : ["brd", formatIp(broadcast)]),
    "scope",
    scopeName(address.scope),
    ...((address.flags & k.IFA_F_NODAD) === 0 ? [] : ["nodad"]),
    ...((address.flags & k.IFA_F_TENTATIVE) === 0 ? [] : ["tentative"]),
    // Only IPv4 addresses have one; by default it is the device's name.
    attributes.findString(k.IFA_LABEL) ?? "",
  ];
  return [`    ${words.join(" ").trimEnd()}`];
}

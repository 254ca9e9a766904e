import { expect, test } from "bun:test";

import { parseCidr } from "../../../src/addr/cidr.ts";
import { parseIp } from "../../../src/addr/ip.ts";
import { parseMac } from "../../../src/addr/mac.ts";
import { deleteAddress, replaceAddress } from "../../../src/netlink/address.ts";
import { changeLink, deleteLink } from "../../../src/netlink/link.ts";
import type { Request } from "../../../src/netlink/message.ts";
import { addRoute, replaceRoute, routeSpec } from "../../../src/netlink/route.ts";
import { bytesToHex } from "../../helpers/bytes.ts";
import { captured, type CaptureFile, capturedRequest, encodeLike, exclusive, overlayRoute } from "./capture.ts";

const { eth0, br1, flannel1, veth2 } = captured;

type SameCase = readonly [file: CaptureFile, command: string, request: Request];

/** Where iproute2 orders the attributes as we do. */
const identical: readonly SameCase[] = [
  ["link", "ip link set dev flannel.1 up", changeLink({ index: flannel1 }, { up: true })],
  ["link", "ip link set dev br1 down", changeLink({ index: br1 }, { up: false })],
  ["link", "ip link set dev br1 mtu 1400", changeLink({ index: br1 }, { mtu: 1400 })],
  [
    "link",
    "ip link set dev br1 address 0a:58:0a:f4:01:03",
    changeLink({ index: br1 }, { mac: parseMac("0a:58:0a:f4:01:03") }),
  ],
  ["link", "ip link set dev br1 alias second-bridge", changeLink({ index: br1 }, { alias: "second-bridge" })],
  ["link", "ip link set dev veth2 master br1", changeLink({ index: veth2 }, { master: br1 })],
  ["link", "ip link delete dev veth2", deleteLink({ index: veth2 })],
  [
    "address",
    "ip address replace 10.244.1.0/32 dev flannel.1",
    replaceAddress({ interfaceIndex: flannel1, address: parseCidr("10.244.1.0/32") }),
  ],
  [
    "address",
    "ip address delete 10.244.1.0/32 dev flannel.1",
    deleteAddress({ interfaceIndex: flannel1, address: parseCidr("10.244.1.0/32") }),
  ],
  [
    "address",
    "ip address delete fd00:10:244:1::/128 dev flannel.1",
    deleteAddress({ interfaceIndex: flannel1, address: parseCidr("fd00:10:244:1::/128") }),
  ],
  [
    "route",
    "ip route replace 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    replaceRoute(overlayRoute("10.244.2.0/24", "10.244.2.0")),
  ],
  [
    "route",
    "ip route replace 10.244.3.0/24 via 10.244.3.0 dev flannel.1 proto 102 onlink",
    replaceRoute({ ...overlayRoute("10.244.3.0/24", "10.244.3.0"), protocol: 102 }),
  ],
  [
    "route",
    "ip route replace fd00:10:244:2::/64 via fd00:10:244:2:: dev flannel.1 onlink",
    replaceRoute(overlayRoute("fd00:10:244:2::/64", "fd00:10:244:2::")),
  ],
  [
    "route",
    "ip route add 10.244.5.0/24 dev eth0 scope link table 1000 proto 102",
    exclusive(
      addRoute(
        routeSpec({ destination: parseCidr("10.244.5.0/24"), interfaceIndex: eth0, table: 1000, protocol: 102 }),
      ),
    ),
  ],
  [
    "route",
    "ip route prepend default via 192.168.0.253 dev eth0",
    addRoute(
      routeSpec({ destination: parseCidr("0.0.0.0/0"), gateway: parseIp("192.168.0.253"), interfaceIndex: eth0 }),
    ),
  ],
];

test.each(identical)("%s: our bytes are those of %s", (file, command, request) => {
  const theirs = capturedRequest(file, command);
  expect(bytesToHex(encodeLike(theirs, request))).toBe(bytesToHex(theirs));
});

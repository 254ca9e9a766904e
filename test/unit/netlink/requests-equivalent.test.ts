import { expect, test } from "bun:test";

import { parseCidr } from "../../../src/addr/cidr.ts";
import { parseIp } from "../../../src/addr/ip.ts";
import { parseMac } from "../../../src/addr/mac.ts";
import { addAddress, replaceAddress } from "../../../src/netlink/address.ts";
import { changeBridgePort, getLink } from "../../../src/netlink/link.ts";
import { addLink } from "../../../src/netlink/link-spec.ts";
import type { Request } from "../../../src/netlink/message.ts";
import { deleteForwarding, deleteNeighbor, replaceForwarding, replaceNeighbor } from "../../../src/netlink/neighbor.ts";
import { addRoute, deleteRoute, routeSpec } from "../../../src/netlink/route.ts";
import { Fd } from "../../../src/sys/fd.ts";
import { captured, type CaptureFile, capturedRequest, encodeLike, exclusive, overlayRoute } from "./capture.ts";
import { compareMessages, linkNesting, type Nesting, routeNesting, vethNesting } from "./message-tree.ts";

const { eth0, cni0, veth1, flannel1, vx6 } = captured;
const peerMac = parseMac("02:00:00:00:02:22");

interface AcceptedCase {
  readonly file: CaptureFile;
  readonly command: string;
  readonly request: Request;
  readonly nesting?: Nesting;
  /** Lines of describeMessage that only one side has, and why that is as good. */
  readonly ours?: readonly string[];
  readonly theirs?: readonly string[];
  readonly because?: string;
}

const saysDown = "ifi_change names the flag up also for a device that is to stay down";

/** Where the order differs, and what else does. */
const accepted: readonly AcceptedCase[] = [
  {
    file: "link",
    command: "ip link add name cni0 address 0a:58:0a:f4:01:01 mtu 1450 up type bridge",
    request: addLink({
      kind: "bridge",
      name: "cni0",
      mac: parseMac("0a:58:0a:f4:01:01"),
      mtu: 1450,
      up: true,
      vlanFiltering: false,
    }),
    nesting: linkNesting,
    ours: ["18.2 {}"],
    because: "no settings of a bridge are the same as an empty list of them",
  },
  {
    file: "refusal",
    command: "ip link add name br9 type bridge vlan_filtering 1",
    request: addLink({ kind: "bridge", name: "br9", mac: peerMac, mtu: 0, up: false, vlanFiltering: true }),
    nesting: linkNesting,
    ours: ["header 00000000000000000000000001000000", "1 020000000222"],
    theirs: ["header 00000000000000000000000000000000"],
    because: `we always give a MAC address, so that udev leaves it alone; ${saysDown}`,
  },
  {
    file: "link",
    command:
      "ip link add name veth1 address 02:00:00:00:01:01 mtu 1450 master cni0 up type veth" +
      " peer name eth0 address 02:00:00:00:01:02 mtu 1450 netns pod",
    request: addLink({
      kind: "veth",
      name: "veth1",
      mac: parseMac("02:00:00:00:01:01"),
      mtu: 1450,
      up: true,
      master: cni0,
      // The number that the descriptor of the namespace had in iproute2.
      peer: { name: "eth0", mac: parseMac("02:00:00:00:01:02"), netns: new Fd(4) },
    }),
    nesting: vethNesting,
  },
  {
    file: "link",
    command:
      "ip link add name flannel.1 address 02:00:00:00:02:01 mtu 1450 type vxlan id 1 dev eth0 local 192.168.0.1" +
      " dstport 8472 nolearning",
    request: addLink({
      kind: "vxlan",
      name: "flannel.1",
      mac: parseMac("02:00:00:00:02:01"),
      mtu: 1450,
      up: false,
      vxlan: { vni: 1, port: 8472, lowerIndex: eth0, local: parseIp("192.168.0.1"), learning: false, gbp: false },
    }),
    nesting: linkNesting,
    ours: ["header 00000000000000000000000001000000"],
    theirs: ["header 00000000000000000000000000000000"],
    because: saysDown,
  },
  {
    file: "link",
    command:
      "ip link add name vx6 address 02:00:00:00:02:02 type vxlan id 16777215 dev eth0 local fd00:1::1 dstport 4789" +
      " learning gbp",
    request: addLink({
      kind: "vxlan",
      name: "vx6",
      mac: parseMac("02:00:00:00:02:02"),
      mtu: 0,
      up: false,
      vxlan: { vni: 0xffffff, port: 4789, lowerIndex: eth0, local: parseIp("fd00:1::1"), learning: true, gbp: true },
    }),
    nesting: linkNesting,
    ours: ["header 00000000000000000000000001000000"],
    theirs: ["header 00000000000000000000000000000000"],
    because: saysDown,
  },
  {
    file: "link",
    command: "ip link set dev veth1 type bridge_slave hairpin on",
    request: changeBridgePort({ index: veth1 }, { hairpin: true }),
    nesting: linkNesting,
    ours: ["18.4 627269646765"],
    theirs: ["18.1 6272696467655f736c617665"],
    because: "the kernel goes by the bridge that the port has, not by a kind that the request names",
  },
  {
    file: "link",
    command: "ip link show dev flannel.1",
    request: getLink({ name: "flannel.1" }),
    ours: ["type 18 flags 0x5", "header 00000000000000000000000000000000", "29 08000000"],
    theirs: ["type 18 flags 0x1", "header 11000000000000000000000000000000", "29 01000000"],
    because:
      "an acknowledgement ends every answer; no statistics (8) instead of virtual functions (1); the family (17) does not count for a single link",
  },
  {
    file: "address",
    command: "ip address add 10.244.1.1/24 broadcast 10.244.1.255 dev cni0",
    request: addAddress({ interfaceIndex: cni0, address: parseCidr("10.244.1.1/24") }),
  },
  {
    file: "address",
    command: "ip address replace 10.244.1.1/24 broadcast 10.244.1.255 dev cni0",
    request: replaceAddress({ interfaceIndex: cni0, address: parseCidr("10.244.1.1/24") }),
  },
  {
    file: "address",
    command: "ip address add fd00:10:244:1::1/64 dev cni0 nodad",
    request: addAddress({ interfaceIndex: cni0, address: parseCidr("fd00:10:244:1::1/64") }),
    ours: ["header 0a40000003000000", "8 02000000"],
    theirs: ["header 0a40020003000000"],
    because: "IFA_FLAGS holds IFA_F_NODAD instead of the header's eight bits",
  },
  {
    file: "address",
    command: "ip address replace fd00:10:244:1::/128 dev flannel.1 nodad",
    request: replaceAddress({ interfaceIndex: flannel1, address: parseCidr("fd00:10:244:1::/128") }),
    ours: ["header 0a80000006000000", "8 02000000"],
    theirs: ["header 0a80020006000000"],
    because: "as above",
  },
  {
    file: "route",
    command: "ip route add 10.244.4.0/24 via 192.168.0.9 dev eth0 proto 102 mtu 1400 advmss 1360 metric 50",
    request: exclusive(
      addRoute(
        routeSpec({
          destination: parseCidr("10.244.4.0/24"),
          gateway: parseIp("192.168.0.9"),
          interfaceIndex: eth0,
          protocol: 102,
          mtu: 1400,
          advmss: 1360,
          priority: 50,
        }),
      ),
    ),
    nesting: routeNesting,
  },
  {
    file: "route",
    command: "ip route delete 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    request: deleteRoute(overlayRoute("10.244.2.0/24", "10.244.2.0")),
    ours: ["header 02180000fe03000104000000"],
    theirs: ["header 02180000fe00ff0004000000"],
    because: "we name protocol, scope and type of the route that we mean, and leave a foreign one alone",
  },
  {
    file: "route",
    command: "ip route delete 10.244.5.0/24 dev eth0 scope link table 1000 proto 102",
    request: deleteRoute(
      routeSpec({ destination: parseCidr("10.244.5.0/24"), interfaceIndex: eth0, table: 1000, protocol: 102 }),
    ),
    ours: ["header 021800000066fd0100000000"],
    theirs: ["header 021800000066fd0000000000"],
    because: "as above: we name the type",
  },
  {
    file: "neighbor",
    command: "ip neigh replace 10.244.2.0 lladdr 02:00:00:00:02:22 dev flannel.1 nud permanent",
    request: replaceNeighbor({ interfaceIndex: flannel1, address: parseIp("10.244.2.0"), mac: peerMac }),
    ours: ["header 020000000600000080000001"],
    theirs: ["header 020000000600000080000000"],
    because: "ndm_type is RTN_UNICAST, as upstream sends it; the kernel does not look at it",
  },
  {
    file: "neighbor",
    command: "ip neigh replace fd00:10:244:2:: lladdr 02:00:00:00:02:22 dev flannel.1 nud permanent",
    request: replaceNeighbor({ interfaceIndex: flannel1, address: parseIp("fd00:10:244:2::"), mac: peerMac }),
    ours: ["header 0a0000000600000080000001"],
    theirs: ["header 0a0000000600000080000000"],
    because: "as above",
  },
  {
    file: "neighbor",
    command: "ip neigh delete 10.244.2.0 dev flannel.1",
    request: deleteNeighbor({ interfaceIndex: flannel1, address: parseIp("10.244.2.0"), mac: peerMac }),
    ours: ["header 020000000600000080000001", "2 020000000222"],
    theirs: ["header 020000000600000080000000"],
    because: "as above; the kernel deletes by address and does not look at the MAC address",
  },
  {
    file: "neighbor",
    command: "bridge fdb replace 02:00:00:00:02:22 dev flannel.1 dst 192.168.0.2 self permanent",
    request: replaceForwarding({ interfaceIndex: flannel1, address: parseIp("192.168.0.2"), mac: peerMac }),
    ours: ["header 070000000600000080000201"],
    theirs: ["header 0700000006000000c0000200"],
    because: "NUD_PERMANENT alone, as upstream sends it; iproute2 adds NUD_NOARP, which changes nothing beside it",
  },
  {
    file: "neighbor",
    command: "bridge fdb replace 02:00:00:00:02:22 dev vx6 dst fd00:1::2 self permanent",
    request: replaceForwarding({ interfaceIndex: vx6, address: parseIp("fd00:1::2"), mac: peerMac }),
    ours: ["header 070000000700000080000201"],
    theirs: ["header 0700000007000000c0000200"],
    because: "as above",
  },
  {
    file: "neighbor",
    command: "bridge fdb delete 02:00:00:00:02:22 dev flannel.1 dst 192.168.0.2 self",
    request: deleteForwarding({ interfaceIndex: flannel1, address: parseIp("192.168.0.2"), mac: peerMac }),
    ours: ["header 070000000600000080000201"],
    theirs: ["header 0700000006000000c0000200"],
    because: "as above",
  },
];

test.each(accepted)("$file: our message says what $command says", ({ file, command, request, ...rest }) => {
  const theirs = capturedRequest(file, command);
  expect(compareMessages(encodeLike(theirs, request), theirs, rest.nesting)).toEqual({
    ours: rest.ours ?? [],
    theirs: rest.theirs ?? [],
  });
});

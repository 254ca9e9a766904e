import { expect, test } from "bun:test";

import { formatCidr } from "../../../src/addr/cidr.ts";
import { formatIp } from "../../../src/addr/ip.ts";
import { type Address, findDecodedAddress } from "../../../src/netlink/address.ts";
import { findAddress, findFamily } from "../../../src/netlink/family.ts";
import { decodeLink, type Link } from "../../../src/netlink/link.ts";
import { decodeNeighbor, type Neighbor } from "../../../src/netlink/neighbor.ts";
import { findDecodedRoute, isDefaultRoute, type Route } from "../../../src/netlink/route.ts";
import { hexToBytes } from "../../helpers/bytes.ts";
import { capturedReplies } from "./capture.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_NEWNEIGH = 28;

function links(command: string): readonly Link[] {
  return capturedReplies("dump", command)
    .filter(({ type }) => type === RTM_NEWLINK)
    .map(decodeLink);
}

function linkLine(link: Link): string {
  const words = [`${link.index}: ${link.name}`, link.kind ?? "-", link.mac ?? "-", `mtu ${link.mtu}`];
  words.push(link.up ? "up" : "down", `state ${link.operState}`);
  if (link.loopback) words.push("loopback");
  if (link.promiscuous) words.push("promiscuous");
  if (link.lowerIndex !== undefined) words.push(`at ${link.lowerIndex} in ${link.peerNetnsId ?? "here"}`);
  if (link.masterIndex !== undefined) words.push(`master ${link.masterIndex}`);
  if (link.alias !== "") words.push(`alias ${link.alias}`);
  if (link.bridgePort !== undefined) words.push(`port, hairpin ${link.bridgePort.hairpin ? "on" : "off"}`);
  return words.join(" ");
}

test("decodeLink() reads every kind of device from a dump", () => {
  expect(links("ip -d link show").map(linkLine)).toEqual([
    "1: lo - 00:00:00:00:00:00 mtu 65536 up state 0 loopback",
    "2: eth0 veth 02:00:00:00:00:02 mtu 1500 up state 6 at 2 in 0",
    "3: cni0 bridge 0a:58:0a:f4:01:01 mtu 1450 up state 2",
    "4: br1 bridge 0a:58:0a:f4:01:03 mtu 1400 down state 2 alias second-bridge",
    "5: veth1 veth 02:00:00:00:01:01 mtu 1450 up state 2 at 2 in 1 master 3 port, hairpin on",
    "6: flannel.1 vxlan 02:00:00:00:02:01 mtu 1450 up state 0",
    "7: vx6 vxlan 02:00:00:00:02:02 mtu 1430 down state 2",
  ]);
  expect(links("ip -n pod -d link show").map(linkLine)).toEqual([
    "1: lo - 00:00:00:00:00:00 mtu 65536 down state 2 loopback",
    "2: eth0 veth 02:00:00:00:01:02 mtu 1450 down state 2 at 5 in 0",
  ]);
});

test("decodeLink() reads what a VXLAN device is, and of others that they are none", () => {
  const all = links("ip -d link show").map(({ name, vxlan }) => {
    return vxlan === undefined ? [name] : [name, { ...vxlan, local: vxlan.local && formatIp(vxlan.local) }];
  });
  expect(all).toEqual([
    ["lo"],
    ["eth0"],
    ["cni0"],
    ["br1"],
    ["veth1"],
    [
      "flannel.1",
      { vni: 1, port: 8472, lowerIndex: 2, local: "192.168.0.1", group: undefined, learning: false, gbp: false },
    ],
    [
      "vx6",
      { vni: 0xffffff, port: 4789, lowerIndex: 2, local: "fd00:1::1", group: undefined, learning: true, gbp: true },
    ],
  ]);
});

/** Type, address family and line of each event about links. */
function linkEvents(command: string): readonly (readonly [type: number, family: number | undefined, line: string])[] {
  return capturedReplies("event", command).map((reply) => {
    const { index, name, kind, masterIndex } = decodeLink(reply);
    return [reply.type, reply.body[0], `${index}: ${name} ${kind ?? "-"} master ${masterIndex ?? "-"}`];
  });
}

test("decodeLink() reads events of a new device", () => {
  expect(
    linkEvents(
      "ip monitor link: ip link add name veth8 address 02:00:00:00:08:01 type veth peer name veth9 address 02:00:00:00:09:01",
    ),
  ).toEqual([
    [RTM_NEWLINK, 0, "11: veth9 veth master -"],
    [RTM_NEWLINK, 0, "12: veth8 veth master -"],
  ]);
});

test("decodeLink() reads events of a deleted port; those of its bridge (family 7) come as RTM_DELLINK, too", () => {
  expect(linkEvents("ip monitor link: ip link delete dev veth8")).toEqual([
    [RTM_NEWLINK, 7, "12: veth8 - master 4"],
    [RTM_DELLINK, 7, "12: veth8 - master 4"],
    [RTM_NEWLINK, 0, "4: br1 bridge master -"],
    [RTM_DELLINK, 0, "12: veth8 veth master -"],
    [RTM_DELLINK, 0, "11: veth9 veth master -"],
  ]);
});

function addressLine({ interfaceIndex, address, scope, flags }: Address): string {
  return `${formatCidr(address)} dev ${interfaceIndex} scope ${scope} flags 0x${flags.toString(16)}`;
}

test("findDecodedAddress() reads addresses of both families with all their flags", () => {
  const replies = capturedReplies("dump", "ip address show").filter(({ type }) => type === RTM_NEWADDR);
  expect(replies.map(findDecodedAddress).map((address) => address && addressLine(address))).toEqual([
    "127.0.0.1/8 dev 1 scope 254 flags 0x80",
    "192.168.0.1/24 dev 2 scope 0 flags 0x80",
    "10.244.1.1/24 dev 3 scope 0 flags 0x80",
    "10.244.1.0/32 dev 6 scope 0 flags 0x80",
    "::1/128 dev 1 scope 254 flags 0x80",
    "fd00:1::1/64 dev 2 scope 0 flags 0x82",
    // Still tentative: the kernel was looking for duplicates.
    "fe80::ff:fe00:2/64 dev 2 scope 253 flags 0xc0",
    "fd00:10:244:1::1/64 dev 3 scope 0 flags 0x82",
    "fd00:10:244:1::/128 dev 6 scope 0 flags 0x82",
    "fe80::ff:fe00:201/64 dev 6 scope 253 flags 0xc0",
  ]);
});

test("findDecodedAddress() reads the event of a deleted address", () => {
  const replies = capturedReplies("event", "ip monitor address: ip address delete 10.244.1.0/32 dev flannel.1");
  expect(replies.map(findDecodedAddress).map((address) => address && addressLine(address))).toEqual([
    "10.244.1.0/32 dev 6 scope 0 flags 0x80",
  ]);
});

test("findDecodedAddress() takes a device's own address, not that of its peer, and the flags that fit the header", () => {
  // struct ifaddrmsg; IFA_ADDRESS 10.0.0.2, IFA_LOCAL 10.0.0.1; no IFA_FLAGS
  const body = hexToBytes("02 20 80 00 07000000 08000100 0a000002 08000200 0a000001");
  const address = findDecodedAddress({ type: RTM_NEWADDR, flags: 0, sequence: 0, body });
  expect(address && addressLine(address)).toBe("10.0.0.1/32 dev 7 scope 0 flags 0x80");
});

function routeLine(route: Route | undefined): string {
  if (route === undefined) return "-";
  const words = [formatCidr(route.destination)];
  if (route.gateway !== undefined) words.push(`via ${formatIp(route.gateway)}`);
  words.push(`dev ${route.interfaceIndex ?? "-"} proto ${route.protocol} scope ${route.scope} table ${route.table}`);
  if (route.onLink) words.push("onlink");
  if (route.source !== undefined) words.push(`src ${formatIp(route.source)}`);
  if (route.priority !== 0) words.push(`metric ${route.priority}`);
  if (route.mtu !== undefined) words.push(`mtu ${route.mtu}`);
  if (route.advmss !== undefined) words.push(`advmss ${route.advmss}`);
  return words.join(" ");
}

function routeLines(command: string): readonly string[] {
  const replies = capturedReplies("dump", command).filter(({ type }) => type === RTM_NEWROUTE);
  return replies.map(findDecodedRoute).map(routeLine);
}

test("findDecodedRoute() reads IPv4 routes, and leaves out what is not unicast", () => {
  expect(routeLines("ip route show")).toEqual([
    "0.0.0.0/0 via 192.168.0.253 dev 2 proto 3 scope 0 table 254",
    "0.0.0.0/0 via 192.168.0.254 dev 2 proto 3 scope 0 table 254",
    // blackhole 10.244.0.0/16
    "-",
    "10.244.1.0/24 dev 3 proto 2 scope 253 table 254 src 10.244.1.1",
    "10.244.2.0/24 via 10.244.2.0 dev 6 proto 3 scope 0 table 254 onlink",
    "10.244.3.0/24 via 10.244.3.0 dev 6 proto 102 scope 0 table 254 onlink",
    "10.244.4.0/24 via 192.168.0.9 dev 2 proto 102 scope 0 table 254 metric 50 mtu 1400 advmss 1360",
    // two next hops: neither a gateway nor a device of its own
    "10.244.6.0/24 dev - proto 3 scope 0 table 254",
    // RTA_VIA, an IPv6 gateway
    "10.244.7.0/24 via fe80::7 dev 2 proto 3 scope 0 table 254",
    "192.168.0.0/24 dev 2 proto 2 scope 253 table 254 src 192.168.0.1",
  ]);
});

test("findDecodedRoute() reads IPv6 routes, whose scope is always 0 and whose metric never is", () => {
  expect(routeLines("ip -6 route show")).toEqual([
    "fd00:1::/64 dev 2 proto 2 scope 0 table 254 metric 256",
    "fd00:10:244:1::/128 dev 6 proto 2 scope 0 table 254 metric 256",
    "fd00:10:244:1::/64 dev 3 proto 2 scope 0 table 254 metric 256",
    "fd00:10:244:2::/64 via fd00:10:244:2:: dev 6 proto 3 scope 0 table 254 onlink metric 1024",
    "fe80::/64 dev 2 proto 2 scope 0 table 254 metric 256",
    "fe80::/64 dev 6 proto 2 scope 0 table 254 metric 256",
  ]);
});

test("findDecodedRoute() reads a table above 255 from its attribute", () => {
  // struct rtmsg with rtm_table 252 (RT_TABLE_COMPAT); RTA_TABLE 1000, RTA_DST 10.244.5.0, RTA_OIF 2
  const body = hexToBytes("02 18 00 00 fc 66 fd 01 00000000 08000f00 e8030000 08000100 0af40500 08000400 02000000");
  expect(routeLine(findDecodedRoute({ type: RTM_NEWROUTE, flags: 0, sequence: 0, body }))).toBe(
    "10.244.5.0/24 dev 2 proto 102 scope 253 table 1000",
  );
});

test("findDecodedRoute() passes over other families, such as multicast routing's (128)", () => {
  const body = hexToBytes("80 20 00 00 fe 11 00 01 00000000");
  expect(findDecodedRoute({ type: RTM_NEWROUTE, flags: 0, sequence: 0, body })).toBeUndefined();
});

test("findDecodedRoute() reads the event of a deleted route", () => {
  const replies = capturedReplies("event", "ip monitor route: ip route delete 10.244.2.0/24");
  expect(replies.map(findDecodedRoute).map(routeLine)).toEqual([
    "10.244.2.0/24 via 10.244.2.0 dev 6 proto 3 scope 0 table 254 onlink",
  ]);
});

test("isDefaultRoute() is true for the whole address space alone", () => {
  const routes = [...routeLines("ip route show")];
  const found = capturedReplies("dump", "ip route show").map(findDecodedRoute);
  const defaults = found.filter((route) => route !== undefined && isDefaultRoute(route.destination));
  expect(defaults.map(routeLine)).toEqual(routes.slice(0, 2));
});

function neighborLine({ interfaceIndex, address, mac, state }: Neighbor): string {
  const where = address === undefined ? "-" : formatIp(address);
  return `${where} dev ${interfaceIndex} lladdr ${mac ?? "-"} state 0x${state.toString(16)}`;
}

test("decodeNeighbor() reads neighbours", () => {
  const replies = capturedReplies("dump", "ip neigh show dev flannel.1").filter(({ type }) => type === RTM_NEWNEIGH);
  const lines = replies.map(decodeNeighbor).map(neighborLine);
  expect(lines.filter((line) => !line.startsWith("ff02:"))).toEqual([
    "10.244.2.0 dev 6 lladdr 02:00:00:00:02:22 state 0x80",
    "10.244.3.0 dev 6 lladdr 02:00:00:00:02:33 state 0x40",
    "fd00:10:244:2:: dev 6 lladdr 02:00:00:00:02:22 state 0x80",
  ]);
});

test("decodeNeighbor() reads forwarding entries", () => {
  const replies = capturedReplies("dump", "bridge fdb show dev flannel.1").filter(({ type }) => type === RTM_NEWNEIGH);
  expect(replies.map(decodeNeighbor).map(neighborLine)).toEqual([
    "192.168.0.2 dev 6 lladdr 02:00:00:00:02:22 state 0xc0",
  ]);
});

test("decodeNeighbor() reads events: a neighbour that goes has lost its MAC address, a forwarding entry has it still", () => {
  const commands = [
    "ip monitor neigh: ip neigh delete 10.244.2.0 dev flannel.1",
    "ip monitor neigh: bridge fdb delete 02:00:00:00:02:22 dev flannel.1 dst 192.168.0.2 self",
  ];
  expect(
    commands.flatMap((command) =>
      capturedReplies("event", command).map((reply) => neighborLine(decodeNeighbor(reply))),
    ),
  ).toEqual([
    "10.244.2.0 dev 6 lladdr - state 0x20",
    "10.244.2.0 dev 6 lladdr - state 0x20",
    "192.168.0.2 dev 6 lladdr 02:00:00:00:02:22 state 0xc0",
  ]);
});

test("decodeNeighbor() reads where a forwarding entry leaves by, when it says so", () => {
  // struct ndmsg; NDA_DST, NDA_LLADDR, NDA_PORT 4789, NDA_VNI 7, NDA_IFINDEX 2
  const body = hexToBytes(
    "07000000 06000000 c000 02 01 08000100 c0a80002 0a000200 020000000222 0000 06000600 12b5 0000 08000700 07000000 08000800 02000000",
  );
  const entry = decodeNeighbor({ type: RTM_NEWNEIGH, flags: 0, sequence: 0, body });
  expect([entry.port, entry.vni, entry.viaIndex]).toEqual([4789, 7, 2]);
});

test("findFamily() and findAddress() know IPv4 and IPv6, and nothing else", () => {
  expect([2, 10, 0, 7, 128].map(findFamily)).toEqual([4, 6, undefined, undefined, undefined]);
  expect([0, 4, 6, 16, 20].map((length) => findAddress(new Uint8Array(length))?.family)).toEqual([
    undefined,
    4,
    undefined,
    6,
    undefined,
  ]);
});

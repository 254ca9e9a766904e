import { expect, test } from "bun:test";
import { parseCidr } from "../../../src/addr/cidr.ts";
import { parseIp } from "../../../src/addr/ip.ts";
import { parseMac } from "../../../src/addr/mac.ts";
import { concernsUs, type Sight } from "../../../src/backend/relevance.ts";
import { peerRoute } from "../../../src/backend/overlay.ts";
import { replaceAddress } from "../../../src/netlink/address.ts";
import { RTM_DELLINK, RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWLINK } from "../../../src/netlink/constants.ts";
import { changeLink } from "../../../src/netlink/link.ts";
import { addLink, type VxlanLinkSpec } from "../../../src/netlink/link-spec.ts";
import type { Reply, Request } from "../../../src/netlink/message.ts";
import { replaceForwarding, replaceNeighbor } from "../../../src/netlink/neighbor.ts";
import { replaceRoute, type RouteSpec } from "../../../src/netlink/route.ts";
import { deviceIndex, overlayOf, peerLease, vxlanInput } from "./fixtures.ts";

const overlay = overlayOf(peerLease(2));
const { external } = vxlanInput();
const sight: Sight = { overlay, external, deviceIndex };
const [peer] = overlay.peers;
if (peer === undefined) throw new Error("Cannot find the peer");
const right = peerRoute(peer, deviceIndex);
const neighborSpec = {
  interfaceIndex: deviceIndex,
  address: parseIp("10.244.2.0"),
  mac: parseMac("02:00:00:00:00:02"),
};
const forwardingSpec = { ...neighborSpec, address: parseIp("192.168.1.2") };
const otherMac = parseMac("02:00:00:00:00:99");

/** An event as the kernel tells what this request asks for: both have one form. */
function event(request: Request, type: number = request.type): Reply {
  return { type, flags: 0, sequence: 0, body: request.body };
}

function routeEvent(changes: Partial<RouteSpec>, type?: number): Reply {
  return event(replaceRoute({ ...right, ...changes }), type);
}

/** A link's event, with the name first, as the kernel writes it. */
function linkEvent(index: number, name: string, mtu: number): Reply {
  const named = changeLink({ name }, { mtu });
  const body = named.body.slice();
  new DataView(body.buffer).setInt32(4, index, true);
  return { type: RTM_NEWLINK, flags: 0, sequence: 0, body };
}

/** An event of our device; of a new one the kernel tells with all flags as changed ones. */
function deviceEvent(changes: Partial<VxlanLinkSpec>, changed = 1): Reply {
  const body = addLink({ ...overlay.device, ...changes }).body.slice();
  const view = new DataView(body.buffer);
  view.setInt32(4, deviceIndex, true);
  view.setUint32(12, changed, true);
  return { type: RTM_NEWLINK, flags: 0, sequence: 0, body };
}

test.each<readonly [string, boolean, Reply]>([
  ["our own route made", false, routeEvent({})],
  ["our own route deleted", true, routeEvent({}, RTM_DELROUTE)],
  ["our route with another gateway", true, routeEvent({ gateway: parseIp("10.244.9.0") })],
  ["our route through another device", true, routeEvent({ interfaceIndex: 99 })],
  ["a route to our peer through another device deleted", false, routeEvent({ interfaceIndex: 99 }, RTM_DELROUTE)],
  ["a route of another table", false, routeEvent({ interfaceIndex: 99, table: 100 })],
  ["a stale route of ours made", true, routeEvent({ destination: parseCidr("10.244.9.0/24") })],
  ["a stale route of ours deleted", false, routeEvent({ destination: parseCidr("10.244.9.0/24") }, RTM_DELROUTE)],
  ["somebody's route on our device", false, routeEvent({ destination: parseCidr("10.99.0.0/24"), protocol: 4 })],
  ["a pod's route", false, routeEvent({ destination: parseCidr("10.244.1.0/24"), interfaceIndex: 99, protocol: 2 })],
  ["a default route", false, routeEvent({ destination: parseCidr("0.0.0.0/0"), interfaceIndex: 2 })],
  ["our neighbour made", false, event(replaceNeighbor(neighborSpec))],
  ["our neighbour deleted", true, event(replaceNeighbor(neighborSpec), RTM_DELNEIGH)],
  ["our neighbour with another MAC", true, event(replaceNeighbor({ ...neighborSpec, mac: otherMac }))],
  [
    "a permanent neighbour of nobody",
    true,
    event(replaceNeighbor({ ...neighborSpec, address: parseIp("10.244.9.0") })),
  ],
  [
    "a neighbour of nobody deleted",
    false,
    event(replaceNeighbor({ ...neighborSpec, address: parseIp("10.244.9.0") }), RTM_DELNEIGH),
  ],
  [
    "our neighbour on another device",
    false,
    event(replaceNeighbor({ ...neighborSpec, interfaceIndex: 2 }), RTM_DELNEIGH),
  ],
  ["our forwarding entry made", false, event(replaceForwarding(forwardingSpec))],
  ["our forwarding entry deleted", true, event(replaceForwarding(forwardingSpec), RTM_DELNEIGH)],
  [
    "our forwarding entry to another address",
    true,
    event(replaceForwarding({ ...forwardingSpec, address: parseIp("192.168.1.9") })),
  ],
  ["a permanent forwarding entry of nobody", true, event(replaceForwarding({ ...forwardingSpec, mac: otherMac }))],
  [
    "an address of our device",
    true,
    event(replaceAddress({ interfaceIndex: deviceIndex, address: parseCidr("10.244.1.0/32") })),
  ],
  [
    "an address of the external interface",
    true,
    event(replaceAddress({ interfaceIndex: 2, address: parseCidr("192.168.1.1/24") })),
  ],
  [
    "an address of a pod's device",
    false,
    event(replaceAddress({ interfaceIndex: 99, address: parseCidr("10.0.0.1/24") })),
  ],
  ["our device as it is wanted", false, deviceEvent({})],
  ["our device down", true, deviceEvent({ up: false })],
  ["our device with another MTU", true, deviceEvent({ mtu: 1400 })],
  ["our device with another MAC", true, deviceEvent({ mac: otherMac })],
  ["our device with another VNI", true, deviceEvent({ vxlan: { ...overlay.device.vxlan, vni: 2 } })],
  ["our device renamed", true, deviceEvent({ name: "flannel.2" })],
  ["our device new, as it was before it was up", false, deviceEvent({ up: false }, 0xffff_ffff)],
  ["our device deleted", true, { ...deviceEvent({}), type: RTM_DELLINK }],
  ["our device, by a part of what it is", true, linkEvent(deviceIndex, "flannel.1", 1450)],
  ["the external interface as it was", false, linkEvent(2, "eth0", 1500)],
  ["the external interface with another MTU", true, linkEvent(2, "eth0", 1400)],
  ["the external interface renamed", true, linkEvent(2, "lan0", 1500)],
  ["the external interface deleted", true, { ...linkEvent(2, "eth0", 1500), type: RTM_DELLINK }],
  ["a pod's veth", false, linkEvent(99, "veth0", 1450)],
])("concernsUs() of %s is %p", (_name, concerns, reply) => {
  expect(concernsUs(reply, sight)).toBe(concerns);
});

test("concernsUs() sees a device that gets our device's name, while there is none", () => {
  const without = { ...sight, deviceIndex: undefined };
  expect(concernsUs(linkEvent(99, "flannel.1", 1450), without)).toBe(true);
  expect(concernsUs(linkEvent(99, "veth0", 1450), without)).toBe(false);
});

test("concernsUs() sees a blackhole in the place of our route", () => {
  const blackhole = routeEvent({});
  const body = blackhole.body.slice();
  body[7] = 6;
  expect(concernsUs({ ...blackhole, body }, sight)).toBe(true);
  // The kernel's route of a local address is of type 2.
  body[7] = 2;
  expect(concernsUs({ ...blackhole, body }, sight)).toBe(false);
});

test("concernsUs() takes every link, address and route while the external interface is looked for", () => {
  expect(concernsUs(linkEvent(99, "veth0", 1450), undefined)).toBe(true);
  expect(concernsUs(routeEvent({ interfaceIndex: 99 }), undefined)).toBe(true);
  expect(concernsUs(event(replaceNeighbor(neighborSpec)), undefined)).toBe(false);
});

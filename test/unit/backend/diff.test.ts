import { expect, test } from "bun:test";
import { parseCidr } from "../../../src/addr/cidr.ts";
import { parseIp } from "../../../src/addr/ip.ts";
import { parseMac } from "../../../src/addr/mac.ts";
import { planChanges } from "../../../src/backend/diff.ts";
import type { Present } from "../../../src/backend/present.ts";
import { RTPROT_BOOT } from "../../../src/netlink/constants.ts";
import type { Address } from "../../../src/netlink/address.ts";
import { deviceIndex, neighbor, overlayOf, peerLease, presentOf, reachable, route, vxlanLink } from "./fixtures.ts";

const overlay = overlayOf(peerLease(2), peerLease(3));
const mac2 = "02:00:00:00:00:02";
const mac3 = "02:00:00:00:00:03";

/** The changes as lines: what is wrong, and the requests. */
function changesOf(present: Present): readonly string[] {
  const { device, entries } = planChanges(present, overlay);
  return [...device, ...entries].map(
    ({ problem, removal, requests }) =>
      `${removal ? "-" : "+"} ${problem}: ${requests.map(({ text }) => text).join("; ")}`,
  );
}

function address(text: string): Address {
  return { interfaceIndex: deviceIndex, address: parseCidr(text), scope: 0, flags: 0 };
}

test("planChanges() finds nothing to do where all is as wanted", () => {
  expect(changesOf(presentOf(overlay))).toEqual([]);
});

test("planChanges() makes only the device first, where there is none", () => {
  const nothing: Present = { device: undefined, addresses: [], routes: [], neighbors: [], forwarding: [] };
  expect(changesOf(nothing)).toEqual(["+ device flannel.1 missing: add vxlan flannel.1"]);
});

test("planChanges() plans an address and all entries for a new device, the route of a peer last", () => {
  expect(changesOf(presentOf(overlay, { addresses: [], routes: [], neighbors: [], forwarding: [] }))).toEqual([
    "+ address 10.244.1.0/32 missing: set address 10.244.1.0/32 dev #7",
    `+ forwarding entry ${mac2} to 192.168.1.2 missing: set forwarding entry ${mac2} dst 192.168.1.2 dev #7`,
    `+ neighbour 10.244.2.0 with MAC ${mac2} missing: set neighbour 10.244.2.0 lladdr ${mac2} dev #7`,
    "+ route 10.244.2.0/24 missing: set route 10.244.2.0/24 via 10.244.2.0 dev #7",
    `+ forwarding entry ${mac3} to 192.168.1.3 missing: set forwarding entry ${mac3} dst 192.168.1.3 dev #7`,
    `+ neighbour 10.244.3.0 with MAC ${mac3} missing: set neighbour 10.244.3.0 lladdr ${mac3} dev #7`,
    "+ route 10.244.3.0/24 missing: set route 10.244.3.0/24 via 10.244.3.0 dev #7",
  ]);
});

test.each([
  ["another MTU", { mtu: 1400 }, "+ device flannel.1 MTU 1400 instead of 1450: change link #7"],
  [
    "another MAC",
    { mac: parseMac("02:00:00:00:00:99") },
    "+ device flannel.1 MAC 02:00:00:00:00:99 instead of 02:00:00:00:00:01: change link #7",
  ],
  ["no up flag", { up: false }, "+ device flannel.1 down instead of up: change link #7"],
])("planChanges() repairs a device with %s in place", (_name, changes, line) => {
  expect(changesOf(presentOf(overlay, { device: vxlanLink(changes) }))).toEqual([line]);
});

test.each([
  ["VNI 2 instead of 1", { vni: 2 }],
  ["UDP port 4789 instead of 8472", { port: 4789 }],
  ["lower device #3 instead of #2", { lowerIndex: 3 }],
  ["local address none instead of 192.168.1.1", { local: undefined }],
  ["local address 192.168.1.9 instead of 192.168.1.1", { local: parseIp("192.168.1.9") }],
  ["remote address 239.1.1.1 instead of none", { group: parseIp("239.1.1.1") }],
  ["learning on instead of off", { learning: true }],
  ["GBP on instead of off", { gbp: true }],
])("planChanges() makes a device with %s anew", (difference, changes) => {
  const device = vxlanLink();
  if (device.vxlan === undefined) throw new Error("Cannot change the settings: there are none");
  const other = { ...device, vxlan: { ...device.vxlan, ...changes } };
  expect(changesOf(presentOf(overlay, { device: other }))).toEqual([
    `+ device flannel.1 with ${difference}: delete link #7; add vxlan flannel.1`,
  ]);
});

test("planChanges() refuses a device of that name that is not vxlan", () => {
  const device = vxlanLink({ kind: "bridge", vxlan: undefined });
  expect(() => changesOf(presentOf(overlay, { device }))).toThrow(
    'Cannot use device "flannel.1": it is of kind "bridge", wanted "vxlan"; it is left as it is',
  );
});

test("planChanges() sets its own address before it removes others inside the network, and leaves those outside", () => {
  const addresses = [address("10.244.9.0/32"), address("172.16.0.1/32"), address("10.244.1.0/24")];
  expect(changesOf(presentOf(overlay, { addresses }))).toEqual([
    "+ address 10.244.1.0/32 missing: set address 10.244.1.0/32 dev #7",
    "- address 10.244.9.0/32 that is not 10.244.1.0: delete address 10.244.9.0/32 dev #7",
    "- address 10.244.1.0/24 that is not 10.244.1.0: delete address 10.244.1.0/24 dev #7",
  ]);
});

test.each([
  ["another gateway", route("10.244.2.0/24", "10.244.9.0"), "via 10.244.9.0, protocol 102"],
  ["no gateway", route("10.244.2.0/24", undefined, { scope: 253 }), "no gateway, protocol 102"],
  [
    "upstream's protocol",
    route("10.244.2.0/24", "10.244.2.0", { protocol: RTPROT_BOOT }),
    "via 10.244.2.0, protocol 3",
  ],
  [
    "no onlink flag",
    route("10.244.2.0/24", "10.244.2.0", { onLink: false }),
    "via 10.244.2.0, protocol 102, not onlink",
  ],
  ["an MTU", route("10.244.2.0/24", "10.244.2.0", { mtu: 1300 }), "via 10.244.2.0, protocol 102, mtu 1300"],
])("planChanges() replaces a peer's route that has %s", (_name, wrong, text) => {
  const right = route("10.244.3.0/24", "10.244.3.0");
  expect(changesOf(presentOf(overlay, { routes: [wrong, right] }))).toEqual([
    `+ route 10.244.2.0/24 wrong (${text}): set route 10.244.2.0/24 via 10.244.2.0 dev #7`,
  ]);
});

test("planChanges() removes stale routes that are its own or upstream's, and no others", () => {
  const present = presentOf(overlay);
  const routes = [
    ...present.routes,
    route("10.244.8.0/24", "10.244.8.0"),
    route("10.244.9.0/24", "10.244.9.0", { protocol: RTPROT_BOOT }),
    route("10.244.2.0/24", "10.244.2.0", { priority: 50 }),
    // Somebody else's: a protocol of their own, another gateway, not on the link, outside the network, another priority.
    route("10.244.10.0/24", "10.244.10.0", { protocol: 4 }),
    route("10.244.11.0/24", "10.244.12.0", { protocol: RTPROT_BOOT }),
    route("10.244.13.0/24", "10.244.13.0", { protocol: RTPROT_BOOT, onLink: false }),
    route("10.99.0.0/24", "10.99.0.0", { protocol: RTPROT_BOOT }),
    route("10.244.2.0/24", "10.244.3.0", { protocol: 4, priority: 10 }),
  ];
  expect(changesOf({ ...present, routes })).toEqual([
    "- route 10.244.8.0/24 that no lease asks for: delete route 10.244.8.0/24 via 10.244.8.0 dev #7",
    "- route 10.244.9.0/24 that no lease asks for: delete route 10.244.9.0/24 via 10.244.9.0 dev #7",
    "- route 10.244.2.0/24 that no lease asks for: delete route 10.244.2.0/24 via 10.244.2.0 dev #7",
  ]);
});

test("planChanges() replaces wrong neighbours of peers, removes permanent ones of nobody, and leaves those that age", () => {
  const neighbors = [
    neighbor("10.244.2.0", "02:00:00:00:00:99"),
    neighbor("10.244.3.0", mac3, reachable),
    neighbor("10.244.8.0", "02:00:00:00:00:08"),
    neighbor("10.244.9.0", "02:00:00:00:00:09", reachable),
  ];
  expect(changesOf(presentOf(overlay, { neighbors }))).toEqual([
    `+ neighbour 10.244.2.0 with MAC ${mac2} wrong (02:00:00:00:00:99): set neighbour 10.244.2.0 lladdr ${mac2} dev #7`,
    `+ neighbour 10.244.3.0 with MAC ${mac3} wrong (${mac3}, not permanent): set neighbour 10.244.3.0 lladdr ${mac3} dev #7`,
    "- neighbour 10.244.8.0 with MAC 02:00:00:00:00:08 that no lease asks for: delete neighbour 10.244.8.0 dev #7",
  ]);
});

test("planChanges() replaces wrong forwarding entries, removes permanent ones of nobody, and leaves learnt ones", () => {
  const forwarding = [
    neighbor("192.168.1.9", mac2),
    neighbor("192.168.1.3", mac3, { port: 4789 }),
    neighbor("192.168.1.8", "02:00:00:00:00:08"),
    neighbor("192.168.1.9", "02:00:00:00:00:09", reachable),
  ];
  expect(changesOf(presentOf(overlay, { forwarding }))).toEqual([
    `+ forwarding entry ${mac2} to 192.168.1.2 wrong (to 192.168.1.9): set forwarding entry ${mac2} dst 192.168.1.2 dev #7`,
    `+ forwarding entry ${mac3} to 192.168.1.3 wrong (to 192.168.1.3, port 4789): set forwarding entry ${mac3} dst 192.168.1.3 dev #7`,
    "- forwarding entry 02:00:00:00:00:08 to 192.168.1.8 that no lease asks for: delete forwarding entry 02:00:00:00:00:08 dst 192.168.1.8 dev #7",
  ]);
});

test("planChanges() plans the entries beside a change of the device, so that a refused one does not hold them up", () => {
  const { device, entries } = planChanges(
    presentOf(overlay, { device: vxlanLink({ mtu: 1400 }), routes: [] }),
    overlay,
  );
  expect([device.length, entries.length]).toEqual([1, 2]);
});

import { expect, test } from "bun:test";
import { parseCidr } from "../../../src/addr/cidr.ts";
import { parseIp } from "../../../src/addr/ip.ts";
import { formatOverlays } from "../../../src/backend/overlay.ts";
import { innerMtu, planVxlan } from "../../../src/backend/wanted.ts";
import { lease, peerLease, vxlanInput } from "./fixtures.ts";

test("planVxlan() plans the device, its address, and three entries for each peer", () => {
  const { overlays, skipped } = planVxlan(vxlanInput({ leases: [peerLease(3), peerLease(2)] }));
  expect(formatOverlays(overlays)).toBe(
    `link flannel.1 address 02:00:00:00:00:01 mtu 1450 up type vxlan id 1 dev #2 local 192.168.1.1 dstport 8472 nolearning
address 10.244.1.0/32 dev flannel.1
neigh 10.244.2.0 lladdr 02:00:00:00:00:02 dev flannel.1 nud permanent
fdb 02:00:00:00:00:02 dst 192.168.1.2 dev flannel.1 self permanent
route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink proto 102
neigh 10.244.3.0 lladdr 02:00:00:00:00:03 dev flannel.1 nud permanent
fdb 02:00:00:00:00:03 dst 192.168.1.3 dev flannel.1 self permanent
route 10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink proto 102
`,
  );
  expect(skipped).toEqual([]);
});

test("planVxlan() follows the options of the backend", () => {
  const options = { vni: 4096, port: 4789, mtu: 1400, gbp: true, learning: true };
  const text = formatOverlays(planVxlan(vxlanInput({ options })).overlays);
  expect(text).toBe(
    `link flannel.4096 address 02:00:00:00:00:01 mtu 1350 up type vxlan id 4096 dev #2 local 192.168.1.1 dstport 4789 learning gbp
address 10.244.1.0/32 dev flannel.4096
`,
  );
});

test("planVxlan() gives the device the interface's own address where the public IP is another", () => {
  const input = vxlanInput({ publicIps: { 4: parseIp("203.0.113.1"), 6: undefined } });
  expect(planVxlan(input).overlays[4]?.device.vxlan.local).toEqual(parseIp("192.168.1.1"));
});

test("planVxlan() plans no overlay for a family that is off", () => {
  const { overlays } = planVxlan(vxlanInput());
  expect(overlays[6]).toBeUndefined();
  const none = planVxlan(vxlanInput({ subnets: { 4: undefined, 6: undefined } }));
  expect(formatOverlays(none.overlays)).toBe("");
});

test.each([
  ["another backend", lease("10.244.9.0-24", "192.168.1.9", null, "host-gw"), 'its backend is "host-gw", not "vxlan"'],
  ["no backend", lease("10.244.9.0-24", "192.168.1.9", null, ""), 'its backend is "", not "vxlan"'],
  [
    "no data",
    lease("10.244.9.0-24", "192.168.1.9", undefined),
    'Cannot read "BackendData.VtepMAC": it must be a hardware address, and is absent',
  ],
  [
    "a MAC that is none",
    lease("10.244.9.0-24", "192.168.1.9", { VNI: 1, VtepMAC: "02:00" }),
    'Cannot read "BackendData.VtepMAC": it must be a hardware address, and is the string "02:00"',
  ],
  [
    "a group's MAC",
    lease("10.244.9.0-24", "192.168.1.9", { VtepMAC: "01:00:5e:00:00:01" }),
    'Cannot read "BackendData.VtepMAC": 01:00:5e:00:00:01 is not the address of one device',
  ],
  [
    "this node's MAC",
    lease("10.244.9.0-24", "192.168.1.9", { VtepMAC: "02:00:00:00:00:01" }),
    "its VTEP MAC 02:00:00:00:00:01 is this node's own",
  ],
  [
    "this node's public IP",
    { ...peerLease(9), publicIps: peerLease(1).publicIps },
    "its public IP 192.168.1.1 is this node's own",
  ],
  [
    "a subnet of another network",
    lease("10.99.9.0-24", "192.168.1.9", { VtepMAC: "02:00:00:00:00:09" }),
    "its subnet is outside the network 10.244.0.0/16",
  ],
  [
    "a subnet that holds the network",
    lease("10.0.0.0-8", "192.168.1.9", { VtepMAC: "02:00:00:00:00:09" }),
    "its subnet is outside the network 10.244.0.0/16",
  ],
  [
    "a subnet that overlaps this node's",
    lease("10.244.0.0-23", "192.168.1.9", { VtepMAC: "02:00:00:00:00:09" }),
    "its subnet overlaps this node's own, 10.244.1.0/24",
  ],
  [
    "the MAC of another peer",
    { ...peerLease(9), backendData: peerLease(2).backendData },
    "it has the VTEP MAC 02:00:00:00:00:02 of 10.244.2.0/24",
  ],
])("planVxlan() skips a lease with %s, and no other", (_name, unusable, reason) => {
  const { overlays, skipped } = planVxlan(vxlanInput({ leases: [unusable, peerLease(3), peerLease(2)] }));
  expect(skipped).toEqual([{ key: unusable.key, reason }]);
  expect(overlays[4]?.peers.map(({ subnetText }) => subnetText)).toEqual(["10.244.2.0/24", "10.244.3.0/24"]);
});

test("planVxlan() takes of two leases with one first address the same one, whatever their order", () => {
  const wide = lease("10.244.8.0-23", "192.168.1.8", { VtepMAC: "02:00:00:00:00:08" });
  const narrow = lease("10.244.8.0-24", "192.168.1.9", { VtepMAC: "02:00:00:00:00:09" });
  for (const leases of [
    [wide, narrow],
    [narrow, wide],
  ]) {
    expect(planVxlan(vxlanInput({ leases })).skipped).toEqual([
      { key: "10.244.8.0-24", reason: "it has the first address 10.244.8.0 of 10.244.8.0/23" },
    ]);
  }
});

test.each([
  [0, 1500, 1450],
  [1400, 1500, 1350],
  [9000, 1500, 1450],
  [0, 9000, 8950],
])("innerMtu() of %d over an interface with %d is %d", (mtu, outer, inner) => {
  const { options, external } = vxlanInput();
  expect(innerMtu(4, { ...options, mtu }, { ...external, mtu: outer })).toBe(inner);
});

test("planVxlan() does not take a network for a subnet of it by its first address alone", () => {
  const networks = { 4: parseCidr("10.244.0.0/24"), 6: undefined };
  const subnets = { 4: parseCidr("10.244.0.128/26"), 6: undefined };
  const other = lease("10.244.0.0-16", "192.168.1.9", { VtepMAC: "02:00:00:00:00:09" });
  expect(planVxlan(vxlanInput({ networks, subnets, leases: [other] })).skipped).toHaveLength(1);
});

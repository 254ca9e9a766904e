import { expect, test } from "bun:test";

import { formatIp, parseIp } from "../../src/addr/ip.ts";
import { parseMac } from "../../src/addr/mac.ts";
import { findLink } from "../../src/netlink/link.ts";
import {
  deleteForwarding,
  deleteNeighbor,
  listForwarding,
  listNeighbors,
  type Neighbor,
  type NeighborSpec,
  replaceForwarding,
  replaceNeighbor,
} from "../../src/netlink/neighbor.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { listForwarding as forwardingOf, listNeighbours as neighboursOf } from "../helpers/kernel.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const mac = "02:00:00:00:02:22";
const otherMac = "02:00:00:00:02:33";

/** A namespace with the VXLAN devices flannel.1 (IPv4) and flannel-v6.1 (IPv6) over v0, all up. */
async function createNode(): Promise<TestNetns> {
  const netns = await createNetns();
  await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
  await netns.ip("addr", "add", "192.168.9.1/24", "dev", "v0");
  await netns.ip("addr", "add", "fd00:9::1/64", "dev", "v0", "nodad");
  const settings = ["dev", "v0", "dstport", "8472", "nolearning"];
  await netns.ip("link", "add", "flannel.1", "type", "vxlan", "id", "1", "local", "192.168.9.1", ...settings);
  await netns.ip("link", "add", "flannel-v6.1", "type", "vxlan", "id", "1", "local", "fd00:9::1", ...settings);
  for (const name of ["v0", "v1", "flannel.1", "flannel-v6.1"]) {
    await netns.ip("link", "set", name, "addrgenmode", "none", "up");
  }
  return netns;
}

function spec(socket: NetlinkSocket, device: string, address: string, lladdr: string): NeighborSpec {
  const interfaceIndex = findLink(socket, { name: device })?.index;
  if (interfaceIndex === undefined) throw new Error(`Cannot find link "${device}"`);
  return { interfaceIndex, address: parseIp(address), mac: parseMac(lladdr) };
}

/** What `ip neigh` shows, without what the kernel needs for multicast. */
async function neighbours(netns: TestNetns): Promise<readonly string[]> {
  const seen = await neighboursOf(netns);
  return seen
    .map(
      ({ device, destination, mac: lladdr, state }) =>
        `${destination} dev ${device} lladdr ${lladdr} ${state.join(" ")}`,
    )
    .filter((line) => !line.startsWith("ff02:"));
}

async function forwarding(netns: TestNetns, device: string): Promise<readonly string[]> {
  const seen = await forwardingOf(netns, device);
  return seen.map(({ mac: lladdr, destination, state }) => `${lladdr} dst ${destination} ${state.join(" ")}`);
}

function describeEntry({ address, mac: lladdr, state }: Neighbor): string {
  return `${address === undefined ? "-" : formatIp(address)} ${lladdr ?? "-"} 0x${state.toString(16)}`;
}

const neighborCases: readonly (readonly [device: string, address: string])[] = [
  ["flannel.1", "10.244.2.0"],
  ["flannel-v6.1", "fd00:10:244:2::"],
];

const forwardingCases: readonly (readonly [device: string, outer: string, other: string])[] = [
  ["flannel.1", "192.168.9.2", "192.168.9.3"],
  ["flannel-v6.1", "fd00:9::2", "fd00:9::3"],
];

await describeWith(["root", "tool:ip", "tool:bridge", "link:veth", "link:vxlan"], "netlink/neighbor", () => {
  test.each(neighborCases)(
    "replaceNeighbor() on %s sets %s, then another MAC, and deleteNeighbor() removes it",
    async (device, address) => {
      await using netns = await createNode();
      using socket = openNetlink(netns);
      const first = spec(socket, device, address, mac);
      const { family } = first.address;
      socket.request(replaceNeighbor(first));
      socket.request(replaceNeighbor(first));
      expect(await neighbours(netns)).toEqual([`${address} dev ${device} lladdr ${mac} PERMANENT`]);
      socket.request(replaceNeighbor(spec(socket, device, address, otherMac)));
      expect(await neighbours(netns)).toEqual([`${address} dev ${device} lladdr ${otherMac} PERMANENT`]);
      const listed = listNeighbors(socket, family, first.interfaceIndex).map(describeEntry);
      expect(listed.filter((text) => !text.startsWith("ff02:"))).toEqual([`${address} ${otherMac} 0x80`]);
      // By address: the MAC address in the message does not matter.
      socket.request(deleteNeighbor(first));
      expect(await neighbours(netns)).toEqual([]);
      expect(() => socket.request(deleteNeighbor(first))).toThrow(
        `Cannot delete neighbour ${address} dev #${first.interfaceIndex}: no such file or directory (ENOENT)`,
      );
    },
  );

  test("replaceNeighbor() takes over an entry that the kernel has found out or given up", async () => {
    await using netns = await createNode();
    await netns.ip("neigh", "add", "10.244.2.0", "lladdr", otherMac, "dev", "flannel.1", "nud", "stale");
    await netns.ip("neigh", "add", "10.244.3.0", "dev", "flannel.1", "nud", "failed");
    using socket = openNetlink(netns);
    for (const address of ["10.244.2.0", "10.244.3.0"]) {
      socket.request(replaceNeighbor(spec(socket, "flannel.1", address, mac)));
    }
    const seen = await neighbours(netns);
    expect(new Set(seen)).toEqual(
      new Set(["10.244.2.0", "10.244.3.0"].map((address) => `${address} dev flannel.1 lladdr ${mac} PERMANENT`)),
    );
  });

  test.each(forwardingCases)(
    "replaceForwarding() on %s sends to %s, then to %s, and deleteForwarding() ends it",
    async (device, outer, other) => {
      await using netns = await createNode();
      using socket = openNetlink(netns);
      const first = spec(socket, device, outer, mac);
      const moved = spec(socket, device, other, mac);
      socket.request(replaceForwarding(first));
      socket.request(replaceForwarding(first));
      expect(await forwarding(netns, device)).toEqual([`${mac} dst ${outer} permanent self`]);
      socket.request(replaceForwarding(moved));
      expect(await forwarding(netns, device)).toEqual([`${mac} dst ${other} permanent self`]);
      expect(listForwarding(socket, first.interfaceIndex).map(describeEntry)).toEqual([`${other} ${mac} 0x80`]);
      expect(listForwarding(socket, first.interfaceIndex)[0]).toMatchObject({ port: undefined, vni: undefined });
      // The kernel says that it is done, and leaves the entry to the other address alone.
      socket.request(deleteForwarding(first));
      expect(await forwarding(netns, device)).toEqual([`${mac} dst ${other} permanent self`]);
      socket.request(deleteForwarding(moved));
      expect(await forwarding(netns, device)).toEqual([]);
      expect(() => socket.request(deleteForwarding(moved))).toThrow("no such file or directory (ENOENT)");
    },
  );

  test("listForwarding() reads what bridge has made, also where it leaves by another port, VNI or device", async () => {
    await using netns = await createNode();
    const entry = ["dev", "flannel.1", "self", "permanent"];
    await netns.run(["bridge", "fdb", "add", mac, "dst", "192.168.9.2", ...entry]);
    const detour = ["port", "4789", "vni", "7", "via", "v0"];
    await netns.run(["bridge", "fdb", "add", otherMac, "dst", "192.168.9.3", ...detour, ...entry]);
    using socket = openNetlink(netns);
    const { interfaceIndex } = spec(socket, "flannel.1", "192.168.9.2", mac);
    const found = listForwarding(socket, interfaceIndex).toSorted((left, right) =>
      describeEntry(left) < describeEntry(right) ? -1 : 1,
    );
    expect(found.map(describeEntry)).toEqual([`192.168.9.2 ${mac} 0xc0`, `192.168.9.3 ${otherMac} 0xc0`]);
    expect(found.map(({ port, vni }) => [port, vni])).toEqual([
      [undefined, undefined],
      [4789, 7],
    ]);
    expect(found[1]?.viaIndex).toBe(findLink(socket, { name: "v0" })?.index ?? -1);
  });

  test("listNeighbors() and listForwarding() list one device and one family", async () => {
    await using netns = await createNode();
    await netns.ip("neigh", "add", "10.244.2.0", "lladdr", mac, "dev", "flannel.1", "nud", "permanent");
    await netns.ip("neigh", "add", "fd00::2", "lladdr", mac, "dev", "flannel.1", "nud", "permanent");
    await netns.ip("neigh", "add", "192.168.9.7", "lladdr", otherMac, "dev", "v0", "nud", "permanent");
    await netns.run(["bridge", "fdb", "add", mac, "dev", "flannel-v6.1", "dst", "fd00:9::2", "self", "permanent"]);
    using socket = openNetlink(netns);
    const index = findLink(socket, { name: "flannel.1" })?.index ?? 0;
    expect(listNeighbors(socket, 4, index).map(describeEntry)).toEqual([`10.244.2.0 ${mac} 0x80`]);
    expect(
      listNeighbors(socket, 6, index)
        .map(describeEntry)
        .filter((text) => !text.startsWith("ff02")),
    ).toEqual([`fd00::2 ${mac} 0x80`]);
    expect(listForwarding(socket, index)).toEqual([]);
  });

  test("listNeighbors() and listForwarding() are empty for a device that has gone", async () => {
    await using netns = await createNetns();
    using socket = openNetlink(netns);
    expect([listNeighbors(socket, 4, 99), listNeighbors(socket, 6, 99), listForwarding(socket, 99)]).toEqual([
      [],
      [],
      [],
    ]);
  });

  test("replaceNeighbor() and replaceForwarding() name what is refused", async () => {
    await using netns = await createNode();
    using socket = openNetlink(netns);
    const absent = { interfaceIndex: 99, address: parseIp("10.244.2.0"), mac: parseMac(mac) };
    expect(() => socket.request(replaceNeighbor(absent))).toThrow(
      `Cannot set neighbour 10.244.2.0 lladdr ${mac} dev #99: no such device (ENODEV)`,
    );
    expect(() => socket.request(replaceForwarding(absent))).toThrow(
      `Cannot set forwarding entry ${mac} dst 10.244.2.0`,
    );
    // A VXLAN device over IPv4 has no way to an IPv6 address.
    expect(() => socket.request(replaceForwarding(spec(socket, "flannel.1", "fd00:9::2", mac)))).toThrow(
      `Cannot set forwarding entry ${mac} dst fd00:9::2`,
    );
  });

  test("listNeighbors() and listForwarding() read 3,000 entries that batch() has set", async () => {
    await using netns = await createNode();
    // More than gc_thresh3 allows of other kinds; permanent entries do not count.
    using socket = openNetlink(netns);
    const { interfaceIndex } = spec(socket, "flannel.1", "10.0.0.0", mac);
    const peers = Array.from({ length: 3000 }, (_, index): NeighborSpec => {
      const bytes = [index >> 8, index & 255];
      const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
      return { interfaceIndex, address: parseIp(`10.${bytes.join(".")}.0`), mac: parseMac(`02:00:00:00:${hex}`) };
    });
    expect(socket.batch([...peers.map(replaceNeighbor), ...peers.map(replaceForwarding)])).toEqual([]);
    const wanted = new Set(peers.map(({ address, mac: lladdr }) => `${formatIp(address)} ${lladdr} 0x80`));
    expect(new Set(listNeighbors(socket, 4, interfaceIndex).map(describeEntry))).toEqual(wanted);
    expect(new Set(listForwarding(socket, interfaceIndex).map(describeEntry))).toEqual(wanted);
  });
});

import { expect, test } from "bun:test";

import { parseIp } from "../../src/addr/ip.ts";
import { parseMac } from "../../src/addr/mac.ts";
import { findLink, type Link, listLinks } from "../../src/netlink/link.ts";
import { addLink, type LinkSpec } from "../../src/netlink/link-spec.ts";
import type { VxlanSpec } from "../../src/netlink/link-vxlan.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { findLink as lookAt, type LinkState } from "../helpers/kernel.ts";
import { openNetlink, openNetns } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const mac = parseMac("0a:58:0a:f4:01:01");

const bridge = { kind: "bridge", name: "cni0", mac, mtu: 1450, up: true, vlanFiltering: false } as const;

/** Our view of a device that must be there. */
function get(socket: NetlinkSocket, name: string): Link {
  const link = findLink(socket, { name });
  if (link === undefined) throw new Error(`Cannot find link "${name}"`);
  return link;
}

/** The view that `ip` has of a device that must be there. */
async function look(netns: TestNetns, name: string): Promise<LinkState> {
  const link = await lookAt(netns, name);
  if (link === undefined) throw new Error(`Cannot see link "${name}" with ip`);
  return link;
}

/** How the kernel came by a device's MAC address: 1 by chance, 3 set by somebody (include/uapi/linux/netdevice.h). */
async function assignType(netns: TestNetns, name: string): Promise<string> {
  const { stdout } = await netns.run(["cat", `/sys/class/net/${name}/addr_assign_type`]);
  return stdout.trim();
}

await describeWith(
  ["root", "tool:ip", "tool:bridge", "link:bridge", "link:veth", "link:vxlan"],
  "netlink/link-spec",
  () => {
    test("addLink() makes a bridge as ip sees it", async () => {
      await using netns = await createNetns();
      using socket = openNetlink(netns);
      socket.request(addLink(bridge));
      const { name, kind, mtu, up, master, ...seen } = await look(netns, "cni0");
      expect({ name, kind, mac: seen.mac, mtu, up, master }).toEqual({
        name: "cni0",
        kind: "bridge",
        mac,
        mtu: 1450,
        up: true,
        master: undefined,
      });
      expect(await assignType(netns, "cni0")).toBe("3");
    });

    test("addLink() leaves a device down and its MTU to the kernel when asked to", async () => {
      await using netns = await createNetns();
      using socket = openNetlink(netns);
      socket.request(addLink({ ...bridge, mtu: 0, up: false }));
      const { mtu, up } = await look(netns, "cni0");
      expect({ mtu, up }).toEqual({ mtu: 1500, up: false });
    });

    test("addLink() makes a veth pair with one message: attached and up here, the peer down in the pod", async () => {
      await using netns = await createNetns();
      await using pod = await createNetns();
      using socket = openNetlink(netns);
      using podNetns = openNetns(pod);
      socket.request(addLink(bridge));
      const peer = { name: "eth0", mac: parseMac("02:00:00:00:00:02"), netns: podNetns.fd };
      const master = get(socket, "cni0").index;
      const ours = parseMac("02:00:00:00:00:01");
      socket.request(addLink({ kind: "veth", name: "veth1", mac: ours, mtu: 1400, up: true, master, peer }));
      const here = await look(netns, "veth1");
      const there = await look(pod, "eth0");
      expect([here, there].map((link) => [link.kind, link.mac, link.mtu, link.up, link.master])).toEqual([
        ["veth", ours, 1400, true, "cni0"],
        ["veth", peer.mac, 1400, false, undefined],
      ]);
      expect([await assignType(netns, "veth1"), await assignType(pod, "eth0")]).toEqual(["3", "3"]);
    });

    test("addLink() makes a veth pair without a bridge", async () => {
      await using netns = await createNetns();
      await using pod = await createNetns();
      using socket = openNetlink(netns);
      using podNetns = openNetns(pod);
      const peer = { name: "eth0", mac: parseMac("02:00:00:00:00:02"), netns: podNetns.fd };
      socket.request(addLink({ kind: "veth", name: "veth1", mac, mtu: 0, up: false, master: undefined, peer }));
      const { master, mtu, up } = await look(netns, "veth1");
      expect({ master, mtu, up }).toEqual({ master: undefined, mtu: 1500, up: false });
    });

    const vxlan: VxlanSpec = {
      vni: 1,
      port: 8472,
      lowerIndex: 0,
      local: parseIp("192.168.9.1"),
      learning: false,
      gbp: false,
    };

    const vxlans: readonly (readonly [name: string, change: Partial<VxlanSpec>, seen: object])[] = [
      ["as flannel's", {}, { id: 1, port: 8472, local: "192.168.9.1", link: "under", learning: false }],
      ["with another VNI and port", { vni: 0xffffff, port: 4789 }, { id: 0xffffff, port: 4789 }],
      ["with learning and GBP", { learning: true, gbp: true }, { learning: true, gbp: true }],
      ["with the kernel's port", { port: 0 }, { port: 8472 }],
      ["over IPv6", { local: parseIp("fd00:9::1") }, { id: 1, local6: "fd00:9::1" }],
    ];

    test.each(vxlans)("addLink() makes a VXLAN device %s, as ip and findLink() see it", async (_name, change, seen) => {
      await using netns = await createNetns();
      await netns.ip("link", "add", "under", "type", "veth", "peer", "name", "other");
      using socket = openNetlink(netns);
      const spec: VxlanSpec = { ...vxlan, lowerIndex: get(socket, "under").index, ...change };
      socket.request(addLink({ kind: "vxlan", name: "flannel.1", mac, mtu: 1430, up: true, vxlan: spec }));
      const link = await look(netns, "flannel.1");
      expect(link.settings.value).toMatchObject(seen);
      expect([link.kind, link.mac, link.mtu, link.up]).toEqual(["vxlan", mac, 1430, true]);
      const expected = { ...spec, port: spec.port === 0 ? 8472 : spec.port, group: undefined };
      expect(get(socket, "flannel.1").vxlan).toEqual(expected);
    });

    test("addLink() gives a VXLAN device over IPv6 no more than its headers leave, whatever is asked for", async () => {
      await using netns = await createNetns();
      await netns.ip("link", "add", "under", "type", "veth", "peer", "name", "other");
      using socket = openNetlink(netns);
      const spec: VxlanSpec = { ...vxlan, lowerIndex: get(socket, "under").index, local: parseIp("fd00:9::1") };
      socket.request(addLink({ kind: "vxlan", name: "flannel-v6.1", mac, mtu: 1450, up: true, vxlan: spec }));
      // The kernel does not refuse it: whoever asks for an MTU has to look at what it got.
      expect(get(socket, "flannel-v6.1").mtu).toBe(1430);
    });

    test("addLink() is refused for a name that is taken, and for a VNI, in the kernel's words", async () => {
      await using netns = await createNetns();
      await netns.ip("link", "add", "under", "type", "veth", "peer", "name", "other");
      using socket = openNetlink(netns);
      const lowerIndex = get(socket, "under").index;
      const first: LinkSpec = {
        kind: "vxlan",
        name: "flannel.1",
        mac,
        mtu: 0,
        up: false,
        vxlan: { ...vxlan, lowerIndex },
      };
      socket.request(addLink(first));
      expect(() => socket.request(addLink(first))).toThrow("Cannot add vxlan flannel.1: file exists (EEXIST)");
      expect(() => socket.request(addLink({ ...first, name: "other.1" }))).toThrow(
        "Cannot add vxlan other.1: file exists (EEXIST): A VXLAN device with the specified VNI already exists",
      );
      expect(findLink(socket, { name: "other.1" })).toBeUndefined();
    });

    test("addLink() is refused for a name that no device can have", async () => {
      await using netns = await createNetns();
      using socket = openNetlink(netns);
      for (const name of ["sixteen-letters!", "a/b", "", ".."]) {
        expect(() => socket.request(addLink({ ...bridge, name }))).toThrow(`Cannot add bridge ${name}: `);
      }
      expect(listLinks(socket).map(({ name }) => name)).toEqual(["lo"]);
    });
  },
);

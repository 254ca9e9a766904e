import { expect, test } from "bun:test";

import { parseIp } from "../../src/addr/ip.ts";
import { parseMac } from "../../src/addr/mac.ts";
import { Decoder, parseJson } from "../../src/base/decode.ts";
import {
  changeBridgePort,
  changeLink,
  deleteLink,
  findLink,
  type Link,
  type LinkChanges,
  listLinks,
  removeLink,
} from "../../src/netlink/link.ts";
import { addLink } from "../../src/netlink/link-spec.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { findLink as lookAt, type LinkState } from "../helpers/kernel.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
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

async function ipJson(netns: TestNetns, ...words: readonly string[]): Promise<readonly Decoder[]> {
  const { stdout } = await netns.run(["ip", "-j", "-d", ...words]);
  return new Decoder(parseJson(stdout)).list();
}

await describeWith(["root", "tool:ip", "tool:bridge", "link:bridge", "link:veth", "link:vxlan"], "netlink/link", () => {
  const changes: readonly (readonly [text: string, change: LinkChanges, seen: Partial<LinkState>])[] = [
    ["nothing", {}, {}],
    ["up", { up: true }, { up: true }],
    ["down", { up: false }, { up: false }],
    ["the MTU", { mtu: 1300 }, { mtu: 1300 }],
    ["the MAC address", { mac: parseMac("02:00:00:00:00:99") }, { mac: "02:00:00:00:00:99" }],
    ["MAC address, MTU and up", { mac, mtu: 1400, up: true }, { mac, mtu: 1400, up: true }],
  ];

  test.each(changes)("changeLink() changes %s and leaves the rest", async (_text, change, seen) => {
    await using netns = await createNetns();
    await netns.ip("link", "add", "v0", "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", "v1");
    using socket = openNetlink(netns);
    const before = await look(netns, "v0");
    socket.request(changeLink({ name: "v0" }, change));
    const after = { ...before, ...seen };
    expect(await look(netns, "v0")).toEqual({ ...after, settings: before.settings, port: before.port });
    const { index } = get(socket, "v0");
    socket.request(changeLink({ index }, change));
    const { name, mtu, up } = get(socket, "v0");
    expect({ name, mtu, up }).toEqual({ name: after.name, mtu: after.mtu, up: after.up });
  });

  test("changeLink() sets and removes aliases, also the longest", async () => {
    await using netns = await createNetns();
    await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
    using socket = openNetlink(netns);
    for (const alias of ["cbr0/eth0", "ü ", "a".repeat(255), ""]) {
      socket.request(changeLink({ name: "v0" }, { alias }));
      const [seen] = await ipJson(netns, "link", "show", "v0");
      expect(seen?.field("ifalias").string() ?? "").toBe(alias);
      expect(get(socket, "v0").alias).toBe(alias);
    }
    expect(() => socket.request(changeLink({ name: "v0" }, { alias: "a".repeat(256) }))).toThrow("change link v0");
  });

  test("changeLink() makes a device the port of a bridge, and not of what is none", async () => {
    await using netns = await createNetns();
    await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
    using socket = openNetlink(netns);
    socket.request(addLink(bridge));
    const { index } = get(socket, "cni0");
    socket.request(changeLink({ name: "v0" }, { master: index }));
    expect((await look(netns, "v0")).master).toBe("cni0");
    expect(get(socket, "v0")).toMatchObject({ masterIndex: index, bridgePort: { hairpin: false } });
    const veth = get(socket, "v0").index;
    expect(() => socket.request(changeLink({ name: "v1" }, { master: veth }))).toThrow("Cannot change link v1");
    expect((await look(netns, "v1")).master).toBeUndefined();
  });

  test("changeLink() names the device that is not there", async () => {
    await using netns = await createNetns();
    using socket = openNetlink(netns);
    expect(() => socket.request(changeLink({ name: "v0" }, { up: true }))).toThrow(
      "Cannot change link v0: no such device (ENODEV)",
    );
    expect(() => socket.request(changeLink({ index: 99 }, { up: true }))).toThrow(
      "Cannot change link #99: no such dev",
    );
  });

  test("changeBridgePort() switches hairpin mode and sets an alias, by name and by index", async () => {
    await using netns = await createNetns();
    using socket = openNetlink(netns);
    socket.request(addLink(bridge));
    await netns.ip("link", "add", "v0", "master", "cni0", "type", "veth", "peer", "name", "v1");
    const { index } = get(socket, "v0");
    socket.request(changeBridgePort({ name: "v0" }, { hairpin: true }, "cbr0"));
    const port = await look(netns, "v0");
    expect([port.port.field("hairpin").boolean(), port.master]).toEqual([true, "cni0"]);
    expect(get(socket, "v0")).toMatchObject({ alias: "cbr0", bridgePort: { hairpin: true } });
    const { stdout } = await netns.run(["bridge", "-d", "link", "show", "dev", "v0"]);
    expect(stdout).toContain("hairpin on");
    socket.request(changeBridgePort({ index }, { hairpin: false }));
    expect((await look(netns, "v0")).port.field("hairpin").boolean()).toBe(false);
    expect(get(socket, "v0").alias).toBe("cbr0");
  });

  test("changeBridgePort() is refused for a device that is no port", async () => {
    await using netns = await createNetns();
    await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
    using socket = openNetlink(netns);
    expect(() => socket.request(changeBridgePort({ name: "v0" }, { hairpin: true }))).toThrow(
      "Cannot change bridge port v0: ",
    );
  });

  test("deleteLink() deletes by name and by index, and a veth's other end with it", async () => {
    await using netns = await createNetns();
    await using pod = await createNetns();
    await netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "eth0", "netns", pod.name);
    using socket = openNetlink(netns);
    socket.request(addLink(bridge));
    socket.request(deleteLink({ index: get(socket, "cni0").index }));
    socket.request(deleteLink({ name: "v0" }));
    expect(listLinks(socket).map(({ name }) => name)).toEqual(["lo"]);
    expect((await ipJson(pod, "link", "show")).map((link) => link.field("ifname").string())).toEqual(["lo"]);
  });

  test("removeLink() says whether there was a device, as often as it is asked", async () => {
    await using netns = await createNetns();
    using socket = openNetlink(netns);
    socket.request(addLink(bridge));
    const id = { index: get(socket, "cni0").index };
    expect([
      removeLink(socket, { name: "cni0" }),
      removeLink(socket, { name: "cni0" }),
      removeLink(socket, id),
    ]).toEqual([true, false, false]);
    expect(() => removeLink(socket, { name: "lo" })).toThrow("Cannot delete link lo: operation not supported");
  });

  test("findLink() is undefined for a name and an index that nothing has", async () => {
    await using netns = await createNetns();
    using socket = openNetlink(netns);
    expect([findLink(socket, { name: "cni0" }), findLink(socket, { index: 99 })]).toEqual([undefined, undefined]);
  });

  test("findLink() and listLinks() read what ip has made", async () => {
    await using netns = await createNetns({ loopbackUp: true });
    await using pod = await createNetns();
    await netns.ip("link", "add", "br0", "mtu", "1400", "type", "bridge");
    await netns.ip("link", "add", "v0", "master", "br0", "type", "veth", "peer", "name", "eth0", "netns", pod.name);
    await netns.ip("link", "set", "v0", "up", "promisc", "on", "alias", "a pod");
    await netns.run(["bridge", "link", "set", "dev", "v0", "hairpin", "on"]);
    const group = ["group", "239.1.1.1", "dev", "br0", "dstport", "4789"];
    await netns.ip("link", "add", "vx7", "type", "vxlan", "id", "7", ...group);
    using socket = openNetlink(netns);
    const links = listLinks(socket);
    const seen = await ipJson(netns, "link", "show");
    expect(links.map(({ index, name }) => [index, name])).toEqual(
      seen.map((link) => [link.field("ifindex").integer() ?? 0, link.field("ifname").string() ?? ""]),
    );
    expect(links.map((link) => findLink(socket, { index: link.index }))).toEqual([...links]);
    expect(links.map((link) => findLink(socket, { name: link.name }))).toEqual([...links]);
    const v0 = seen.find((link) => link.field("ifname").string() === "v0");
    expect(get(socket, "v0")).toMatchObject({
      up: true,
      promiscuous: true,
      alias: "a pod",
      kind: "veth",
      bridgePort: { hairpin: true },
      masterIndex: get(socket, "br0").index,
      lowerIndex: v0?.field("link_index").integer() ?? -1,
      peerNetnsId: v0?.field("link_netnsid").integer() ?? -1,
    });
    expect(get(socket, "lo")).toMatchObject({ loopback: true, up: true, kind: undefined, bridgePort: undefined });
    expect(get(socket, "vx7").vxlan).toMatchObject({ vni: 7, port: 4789, learning: true, group: parseIp("239.1.1.1") });
  });
});

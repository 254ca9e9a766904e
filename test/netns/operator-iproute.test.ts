import { expect, test } from "bun:test";

import { NetlinkSocket } from "../../src/netlink/socket.ts";
import { linkAndAddressLines, portLines } from "../../src/operator/iproute/link.ts";
import { forwardingLines, neighborLines } from "../../src/operator/iproute/neighbor.ts";
import { routeLines } from "../../src/operator/iproute/route.ts";
import { findNetns, inNetns } from "../../src/sys/netns.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

/** A socket in a test's namespace. */
function openNetlink(netns: TestNetns): NetlinkSocket {
  using found = findNetns(netns.path);
  if (found === undefined) throw new Error(`Cannot find network namespace "${netns.path}"`);
  return inNetns(found, () => new NetlinkSocket());
}

/** Runs `ip` commands, one in each line, and a `bridge` command where the line begins with that. */
async function setUp(netns: TestNetns, script: string): Promise<void> {
  for (const line of script.trim().split("\n")) {
    const words = line.trim().split(" ");
    await (words[0] === "bridge" ? netns.run(words) : netns.ip(...words));
  }
}

/** What a command prints, without the words that the operator's form leaves out. */
async function witness(netns: TestNetns, command: string): Promise<readonly string[]> {
  const { stdout } = await netns.run(command.split(" "));
  return (
    stdout
      .split("\n")
      .filter((line) => line.trim() !== "" && !line.includes("valid_lft"))
      .map((line) => line.replaceAll(/ (?:qdisc|mode|group|qlen|link-netns|link-netnsid|proto kernel_\S+) ?\S*/g, ""))
      // It ends when it ends, between our look and this.
      .map((line) => line.replace(/(fe80::.*) tentative/, "$1"))
      .map((line) => line.trimEnd())
  );
}

/** Ours, without the lines that only `ip -d` has, and without the number that `ip` may give as a name. */
function plain(lines: readonly string[]): readonly string[] {
  return lines
    .filter((line) => !/^ {4}(?:vxlan|veth|bridge|bridge_slave)\b/.test(line))
    .map((line) => line.replace(/ link-netnsid \d+$/, "").replace(/(fe80::.*) tentative/, "$1"));
}

const nodeScript = `
  link set lo up
  link add br0 type bridge
  link add v0 type veth peer name v1
  link add v2 type veth peer name v3
  link set v0 master br0 up
  link set v1 up
  link set v2 master br0
  bridge link set dev v0 hairpin on
  addr add 10.1.0.1/24 brd + dev br0
  addr add fd00::1/64 dev br0 nodad
  link set br0 up
  addr add 192.168.9.1/30 dev v1
  link add flannel.1 address 02:00:00:00:00:01 type vxlan id 1 local 192.168.9.1 dev v1 dstport 8472 nolearning
  addr add 10.244.1.0/32 dev flannel.1
  link set flannel.1 up
  route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
  route add 10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink proto 201
  route add default via 192.168.9.2 proto static metric 50
  route add 10.9.0.0/16 dev br0 mtu 1400 advmss 1300
  route add 10.8.0.7/32 via 10.1.0.9 src 10.1.0.1
  neigh add 10.244.2.0 lladdr 02:00:00:00:00:02 dev flannel.1 nud permanent
  neigh add 10.244.3.0 lladdr 02:00:00:00:00:03 dev flannel.1 nud stale
  bridge fdb append 02:00:00:00:00:02 dev flannel.1 dst 192.168.9.2 self permanent
  bridge fdb append 02:00:00:00:00:03 dev flannel.1 dst 192.168.9.3 self dynamic
`;

await describeWith(["root", "link:veth", "link:bridge", "link:vxlan", "tool:bridge"], "operator/iproute", () => {
  test("linkAndAddressLines() prints what ip addr show prints", async () => {
    await using netns = await createNetns();
    await setUp(netns, nodeScript);
    using netlink = openNetlink(netns);
    for (const name of ["lo", "br0", "v0", "v1", "v2", "flannel.1"]) {
      const ours = linkAndAddressLines(netlink, name);
      expect(plain(ours)).toEqual(await witness(netns, `ip addr show dev ${name}`));
    }
  });

  test("linkAndAddressLines() names the other end of a veth pair by its index in another namespace", async () => {
    await using netns = await createNetns();
    await using other = await createNetns();
    await netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "far", "netns", other.name);
    using netlink = openNetlink(netns);
    expect(plain(linkAndAddressLines(netlink, "eth0"))).toEqual(await witness(netns, "ip addr show dev eth0"));
  });

  test("linkAndAddressLines() tells of a VXLAN device what ip -d tells", async () => {
    await using netns = await createNetns();
    await setUp(netns, nodeScript);
    using netlink = openNetlink(netns);
    const line = linkAndAddressLines(netlink, "flannel.1").find((text) => text.includes("vxlan"));
    expect(line).toBe("    vxlan id 1 local 192.168.9.1 dev v1 dstport 8472 nolearning");
    const detailed = (await witness(netns, "ip -d link show dev flannel.1")).join(" ").split(/\s+/).join(" ");
    for (const part of ["vxlan id 1 local 192.168.9.1 dev v1", "dstport 8472 nolearning"]) {
      expect(detailed).toContain(part);
    }
  });

  test("portLines() prints the ports of a bridge with their hairpin mode", async () => {
    await using netns = await createNetns();
    await setUp(netns, nodeScript);
    using netlink = openNetlink(netns);
    const ours = portLines(netlink, "br0");
    expect(plain(ours)).toEqual(await witness(netns, "ip link show master br0"));
    const details = ours.filter((line) => line.includes("bridge_slave"));
    // In the order of their indices: v0 has got it, v2 has not.
    expect(details).toEqual(["    bridge_slave hairpin on", "    bridge_slave hairpin off"]);
  });

  test("routeLines() prints what ip route show prints", async () => {
    await using netns = await createNetns();
    await setUp(netns, nodeScript);
    using netlink = openNetlink(netns);
    const ours = routeLines(netlink, 4);
    expect(ours).toContain("10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink");
    expect(ours).toEqual(await witness(netns, "ip route show"));
  });

  test("neighborLines() and forwardingLines() print what ip neigh show and bridge fdb show print", async () => {
    await using netns = await createNetns();
    await setUp(netns, nodeScript);
    using netlink = openNetlink(netns);
    const { stdout } = await netns.run(["cat", "/sys/class/net/flannel.1/ifindex"]);
    const index = Number(stdout);
    const neighbors = await witness(netns, "ip -4 neigh show dev flannel.1");
    expect(neighbors).toHaveLength(2);
    expect(neighborLines(netlink, 4, index)).toEqual(neighbors);
    const forwarding = await witness(netns, "bridge fdb show dev flannel.1");
    expect(forwarding).toHaveLength(2);
    expect(forwardingLines(netlink, index)).toEqual(forwarding);
  });
});

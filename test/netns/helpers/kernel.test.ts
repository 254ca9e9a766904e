import { expect, test } from "bun:test";

import {
  describeKernel,
  findLink,
  listForwarding,
  listNeighbours,
  listRoutes,
  listRuleset,
} from "../../helpers/kernel.ts";
import { createNetns } from "../../helpers/netns.ts";
import type { TestNetns } from "../../helpers/netns.ts";
import { describeWith } from "../../helpers/require.ts";

await describeWith(["root", "link:veth", "link:bridge", "link:vxlan", "tool:nft"], "what a namespace holds", () => {
  test("a new namespace holds nothing", async () => {
    await using netns = await createNetns();
    expect(await describeKernel(netns)).toEqual([]);
    expect(await findLink(netns, "lo")).toMatchObject({ name: "lo", kind: undefined, up: false });
    expect(await findLink(netns, "eth0")).toBeUndefined();
  });

  test("describeKernel() tells links, addresses, routes and rules as lines", async () => {
    await using netns = await createNetns({ loopbackUp: true });
    await makeBridgeWithPort(netns);
    await netns.run(["nft", "add table ip tartan-test"]);
    expect(await describeKernel(netns)).toEqual([
      "address 10.244.1.1/24 dev cni0",
      "link cni0 type bridge mtu 1450 up",
      "link inside type veth mtu 1450 down",
      "link outside type veth mtu 1450 up master cni0",
      expect.stringContaining('nft {"table":{"family":"ip","name":"tartan-test"'),
      "route 10.244.1.0/24 dev cni0 proto kernel",
      "route 10.244.2.0/24 via 10.244.1.9 dev cni0 proto 17 onlink",
    ]);
    expect(await listRuleset(netns)).toHaveLength(1);
    expect(await listRoutes(netns)).toHaveLength(2);
    const port = await findLink(netns, "outside");
    expect(port?.port.field("hairpin").boolean()).toBe(true);
  });

  test("listNeighbours() and listForwarding() find what was added", async () => {
    await using netns = await createNetns({ loopbackUp: true });
    const mac = "02:00:00:00:00:01";
    await netns.ip("link", "add", "flannel.1", "type", "vxlan", "id", "1", "dstport", "8472", "nolearning");
    await netns.ip("link", "set", "flannel.1", "up");
    await netns.ip("neigh", "add", "10.244.2.0", "lladdr", mac, "nud", "permanent", "dev", "flannel.1");
    await netns.run(["bridge", "fdb", "append", mac, "dev", "flannel.1", "dst", "127.0.0.2", "self", "permanent"]);
    const neighbours = await listNeighbours(netns);
    const permanent = neighbours.filter(({ state }) => state.includes("PERMANENT"));
    expect(permanent).toEqual([{ device: "flannel.1", destination: "10.244.2.0", mac, state: ["PERMANENT"] }]);
    const forwarding = await listForwarding(netns, "flannel.1");
    expect(forwarding).toEqual([{ device: "flannel.1", destination: "127.0.0.2", mac, state: ["permanent", "self"] }]);
    const device = await findLink(netns, "flannel.1");
    expect(device?.settings.field("id").integer()).toBe(1);
  });
});

async function makeBridgeWithPort(netns: TestNetns): Promise<void> {
  await netns.ip("link", "add", "cni0", "type", "bridge");
  await netns.ip("link", "add", "outside", "mtu", "1450", "type", "veth", "peer", "name", "inside", "mtu", "1450");
  await netns.ip("link", "set", "outside", "master", "cni0", "up");
  await netns.ip("link", "set", "outside", "type", "bridge_slave", "hairpin", "on");
  await netns.ip("addr", "add", "10.244.1.1/24", "dev", "cni0");
  await netns.ip("link", "set", "cni0", "up");
  const route = ["10.244.2.0/24", "via", "10.244.1.9", "dev", "cni0", "onlink", "proto", "17"];
  await netns.ip("route", "add", ...route);
}

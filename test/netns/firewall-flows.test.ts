import { expect, test } from "bun:test";

import { type Family, families } from "../../src/addr/ip.ts";
import { apply, settingsOf } from "../helpers/firewall.ts";
import { executablePath } from "../helpers/executable.ts";
import { createFlowWorld } from "../helpers/flow-world.ts";
import { flowAddresses, flowsOf } from "../helpers/flows.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import { startUpstream } from "../helpers/upstream-daemon.ts";
import { loadUpstreamRules } from "../helpers/upstream-rules.ts";

const previousSubnet = `FLANNEL_NETWORK=${flowAddresses[4].network}
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=false
`;

/** What upstream's rules make of the flows, by name. */
function wanted(family: Family): Readonly<Record<string, string>> {
  return Object.fromEntries(flowsOf(family).map(({ name, seen }) => [name, seen]));
}

await describeWith(["root", "tool:nft", "tool:iptables", "link:veth"], "firewall, by packets", () => {
  for (const family of families) {
    test(`upstream's rules and ours show each receiver the same source address, IPv${family}`, async () => {
      await using world = await createFlowWorld();
      await world.listen(family);
      await loadUpstreamRules(world.node, family);
      expect(await world.seen(family)).toEqual(wanted(family));
      expect(apply(world.node, settingsOf(family)).failed).toEqual([]);
      const { stdout } = await world.node.run(["nft", "list", "ruleset"]);
      expect(stdout).not.toContain("FLANNEL");
      expect(await world.seen(family)).toEqual(wanted(family));
    }, 60_000);

    test(`nonMasqueradeCIDRs see the pods' own addresses, IPv${family}`, async () => {
      await using world = await createFlowWorld();
      await world.listen(family);
      const { outside, pod1, remote1, gateway } = flowAddresses[family];
      apply(world.node, settingsOf(family, [`${outside}/${family === 4 ? 32 : 128}`]));
      expect(await world.seen(family)).toEqual({
        ...wanted(family),
        "pod to outside": pod1,
        "pod of another node to outside": remote1,
        "node to outside, from a pod network's address": gateway,
      });
    }, 60_000);
  }
});

await describeWith(["root", "executable", "tool:nft", "link:veth", "link:vxlan"], "flanneld --ip-masq", () => {
  test("shows each receiver the source address that upstream does, with no program on PATH", async () => {
    await using world = await createFlowWorld();
    await using directory = await createTemporaryDirectory();
    await world.listen(4);
    const { network } = flowAddresses[4];
    await directory.write("leases/config", JSON.stringify({ Network: network, Backend: { Type: "vxlan" } }));
    await directory.directory("leases/subnets");
    // The subnet of an earlier run, which the daemon takes again.
    const subnetFile = await directory.write("subnet.env", previousSubnet);
    const flags = [
      "--lease-dir",
      directory.join("leases"),
      "--subnet-file",
      subnetFile,
      "--iface",
      "eth0",
      "--ip-masq",
    ];
    const env = ["/usr/bin/env", "-i", "PATH=", "XTABLES_LOCKFILE=/nonexistent/lock"];
    await using daemon = world.node.start([...env, executablePath, "flanneld", ...flags]);
    await daemon.waitUntil("it is ready", () => daemon.stderr.includes("subnet file"));
    expect(await Bun.file(subnetFile).text()).toContain("FLANNEL_IPMASQ=true\n");
    expect(await world.seen(4)).toEqual(wanted(4));
  }, 60_000);
});

await describeWith(
  ["root", "tool:nft", "tool:iptables", "link:veth", "link:vxlan", "peer:flanneld", "peer:etcd"],
  "upstream's flanneld --ip-masq",
  () => {
    test("shows each receiver the source address that the flows say, and tartan's after it the same", async () => {
      await using world = await createFlowWorld();
      await using directory = await createTemporaryDirectory();
      await world.listen(4);
      const subnetFile = await directory.write("subnet.env", previousSubnet);
      const config = { Network: flowAddresses[4].network, Backend: { Type: "vxlan" } };
      {
        await using upstream = await startUpstream(world.node, directory, subnetFile, config);
        expect(await Bun.file(subnetFile).text()).toContain("FLANNEL_SUBNET=10.244.1.1/24");
        expect(upstream.daemon.exitCode).toBeUndefined();
        expect(await world.seen(4)).toEqual(wanted(4));
      }
      const { removed } = apply(world.node, settingsOf(4));
      expect(removed).toHaveLength(2);
      expect(await world.seen(4)).toEqual(wanted(4));
      // And back: it finds its own way beside what we leave.
      await using again = await startUpstream(world.node, directory, subnetFile, config);
      expect(again.daemon.exitCode).toBeUndefined();
      const { stdout } = await world.node.run(["nft", "list", "ruleset"]);
      expect(stdout).toContain("FLANNEL-POSTRTG");
      expect(stdout).not.toContain("flannel-ipv4");
      expect(await world.seen(4)).toEqual(wanted(4));
    }, 120_000);
  },
);

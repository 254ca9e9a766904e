import { expect, test } from "bun:test";

import {
  createCniNode,
  installConflist,
  installForeign,
  lastingAfter,
  listNodeLeftovers,
} from "../helpers/cni-node.ts";
import { ownConflist, surroundedConflist } from "../helpers/conflists.ts";
import { containerAddress, containerPing } from "../helpers/container-network.ts";
import { containerdNames, containerdRequirements, startContainerd } from "../helpers/containerd.ts";
import { eventually } from "../helpers/eventually.ts";
import { listLinks } from "../helpers/kernel.ts";
import { createNoopPlugin } from "../helpers/noop-plugin.ts";
import { peerProgram } from "../helpers/peers.ts";
import { describeWith } from "../helpers/require.ts";
import { listQdiscs } from "../helpers/traffic-control.ts";

const foreign = {
  noop: peerProgram("cnitool", "noop"),
  tuning: peerProgram("cni-plugins", "tuning"),
  bandwidth: peerProgram("cni-plugins", "bandwidth"),
  portmap: peerProgram("cni-plugins", "portmap"),
};

/** No client of containerd's own gives a plugin what it calls capabilities, so the limits are in the conflist. */
const after = [
  { type: "tuning", sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } },
  { type: "bandwidth", ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 8_000_000, egressBurst: 800_000 },
  { type: "portmap", backend: "nftables", capabilities: { portMappings: true } },
];

const needs = ["executable", "link:veth", "link:bridge", "link:ifb", "tool:tc"] as const;
const peers = ["peer:cnitool", "peer:cni-plugins"] as const;

/**
 * What each asks of the plugins when one container is run and killed: the kill of 2.2's client deletes the network
 * beforehand, and the client that ran the container deletes it once more.
 */
const commands = { distribution: ["ADD", "DEL"], "2.2": ["ADD", "DEL", "DEL"] } as const;

for (const name of containerdNames) {
  const requirements = [...needs, ...peers, ...containerdRequirements(name)] as const;
  await describeWith(requirements, `containerd (${name}) and foreign plugins`, () => {
    test("runs a container with foreign plugins before and after ours, and leaves nothing", async () => {
      await using node = await createCniNode(ownConflist);
      await installForeign(node, foreign);
      const before = await createNoopPlugin(node, "before", { ReportResult: "{}" });
      await installConflist(node, surroundedConflist([before.entry], after));
      await using containerd = await startContainerd(node, name);

      await using container = await containerd.run("first");
      expect(await containerAddress(container)).toBe("10.244.1.2/24");
      expect(await containerPing(container, "10.244.1.1")).toContain("3 packets received, 0% packet loss");
      const setting = await container.run(["cat", "/proc/sys/net/ipv4/conf/eth0/arp_filter"]);
      expect(setting.stdout.trim()).toBe("1");
      const links = await listLinks(node.netns);
      const veth = links.find(({ kind }) => kind === "veth")?.name ?? "";
      expect(await listQdiscs(node.netns)).toContain(`tbf dev ${veth}`);

      await container.remove();
      const wanted = lastingAfter("10.244.1.2");
      expect(await eventually(() => listNodeLeftovers(node), wanted)).toEqual(wanted);
      expect(await before.commands()).toEqual([...commands[name]]);
    });
  });
}

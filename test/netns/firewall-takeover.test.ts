import { expect, test } from "bun:test";

import type { BackgroundProcess } from "../helpers/background.ts";
import type { FirewallOutcome } from "../../src/firewall/firewall.ts";
import { apply, settingsOf } from "../helpers/firewall.ts";
import { createFlowWorld, type FlowWorld } from "../helpers/flow-world.ts";
import { flowAddresses } from "../helpers/flows.ts";
import { createNetns } from "../helpers/netns.ts";
import { ruleset } from "../helpers/nftables.ts";
import { describeWith } from "../helpers/require.ts";
import { loadUpstreamRules } from "../helpers/upstream-rules.ts";

const { network, subnet, pod1, node, outside } = flowAddresses[4];

/** What flanneld v0.28 makes in its nft mode (pkg/trafficmngr/nftables/nftables.go), swapped networks included. */
const upstreamNft = `
add table ip flannel-ipv4 { comment "rules for flannel-ipv4"; }
add chain ip flannel-ipv4 forward { type filter hook forward priority filter; policy accept; }
flush chain ip flannel-ipv4 forward
add rule ip flannel-ipv4 forward ip saddr ${network} accept
add rule ip flannel-ipv4 forward ip daddr ${network} accept
add chain ip flannel-ipv4 postrtg { type nat hook postrouting priority srcnat; policy accept; }
flush chain ip flannel-ipv4 postrtg
add rule ip flannel-ipv4 postrtg meta mark 0x4000 return
add rule ip flannel-ipv4 postrtg ip saddr ${subnet} ip daddr ${network} return
add rule ip flannel-ipv4 postrtg ip saddr ${network} ip daddr ${subnet} return
add rule ip flannel-ipv4 postrtg ip saddr != ${subnet} ip daddr ${network} return
add rule ip flannel-ipv4 postrtg ip saddr ${network} ip daddr != 224.0.0.0/4 masquerade fully-random
add rule ip flannel-ipv4 postrtg ip saddr != ${network} ip daddr ${network} masquerade fully-random
`;

/** A pod that sends a packet from a new port each time, without end: each is a new connection. */
function sendSteadily(world: FlowWorld): BackgroundProcess {
  const script = `
    for (;;) {
      const socket = await Bun.udpSocket({ hostname: "${pod1}" });
      socket.send("steady", 5000, "${outside}");
      socket.close();
    }`;
  return world.places.pod1.start([process.execPath, "-e", script]);
}

/** The lines of the machine outside about such packets. */
function steadyOf(world: FlowWorld): readonly string[] {
  return world
    .heard("outside")
    .split("\n")
    .filter((line) => line.startsWith("steady "));
}

/** Runs the work while packets flow, and counts them by the source address that the machine outside sees. */
async function sourcesDuring(world: FlowWorld, work: () => void): Promise<Readonly<Record<string, number>>> {
  await using sender = sendSteadily(world);
  await sender.waitUntil("packets arrive", () => steadyOf(world).length > 100);
  const before = steadyOf(world).length;
  work();
  const during = steadyOf(world).length;
  await sender.waitUntil("more packets arrive", () => steadyOf(world).length > during + 300);
  const counts: Record<string, number> = {};
  for (const line of steadyOf(world).slice(before)) counts[line.slice(7)] = (counts[line.slice(7)] ?? 0) + 1;
  return counts;
}

await describeWith(["root", "tool:nft", "tool:iptables", "link:veth"], "moving from upstream and back", () => {
  test("iptables rules of upstream's go when ours are in force, and no packet is without masquerade", async () => {
    await using world = await createFlowWorld();
    await world.listen(4);
    await world.node.run(["iptables", "-P", "FORWARD", "DROP"]);
    await loadUpstreamRules(world.node, 4);
    let removed: readonly string[] = [];
    const seen = await sourcesDuring(world, () => {
      ({ removed } = apply(world.node, settingsOf(4)));
    });
    expect(Object.keys(seen)).toEqual([node]);
    expect(removed).toEqual([
      "chain ip nat FLANNEL-POSTRTG of upstream's flanneld",
      "chain ip filter FLANNEL-FWD of upstream's flanneld",
    ]);
    expect(await ruleset(world.node)).not.toMatch(/FLANNEL|flanneld/);
  }, 60_000);

  test("nft tables of upstream's become ours in one step, and are upstream's again after a move back", async () => {
    await using world = await createFlowWorld();
    await world.listen(4);
    await world.node.run(["nft", "-f", "-"], { stdin: upstreamNft });
    const theirs = await ruleset(world.node);
    const seen = await sourcesDuring(world, () => apply(world.node, settingsOf(4)));
    expect(Object.keys(seen)).toEqual([node]);
    const ours = await ruleset(world.node);
    expect(ours).not.toBe(theirs);
    expect(ours).toContain(`ip saddr != ${network} ip daddr ${subnet} return`);
    await world.node.run(["nft", "-f", "-"], { stdin: upstreamNft });
    expect(await ruleset(world.node)).toBe(theirs);
    // In its iptables mode upstream deletes both tables first.
    await world.node.run(["nft", "delete", "table", "ip", "flannel-ipv4"]);
    await loadUpstreamRules(world.node, 4);
    expect(Object.keys(await sourcesDuring(world, () => {}))).toEqual([node]);
  }, 60_000);

  test("a change of what is wanted leaves no packet without masquerade", async () => {
    await using world = await createFlowWorld();
    await world.listen(4);
    apply(world.node, settingsOf(4));
    const seen = await sourcesDuring(world, () => {
      for (let round = 0; round < 300; round++) {
        expect(apply(world.node, settingsOf(4, round % 2 === 0 ? ["172.31.0.0/16"] : [])).repaired).toHaveLength(1);
      }
    });
    expect(Object.keys(seen)).toEqual([node]);
  }, 60_000);

  test("upstream's forwarding stays where nothing of ours can be added to the host's FORWARD", async () => {
    await using world = await createFlowWorld();
    await world.listen(4);
    await loadUpstreamRules(world.node, 4);
    for (const line of [
      "-P FORWARD DROP",
      "-A FORWARD -j REJECT",
      "-N DOCKER-X",
      "-A FORWARD -i docker0 -j DOCKER-X",
    ]) {
      await world.node.run(["iptables", ...line.split(" ")]);
    }
    let outcome: FirewallOutcome | undefined;
    const seen = await sourcesDuring(world, () => {
      outcome = apply(world.node, settingsOf(4));
    });
    expect(Object.keys(seen)).toEqual([node]);
    expect(outcome?.removed).toEqual(["chain ip nat FLANNEL-POSTRTG of upstream's flanneld"]);
    expect(outcome?.obstacles.join()).toMatch(
      /ahead of the jump to DOCKER-X.*; chain FLANNEL-FWD of upstream's .* stays$/,
    );
    // Once the way is free ours comes first, and then theirs goes.
    await world.node.run(["iptables", "-D", "FORWARD", "-i", "docker0", "-j", "DOCKER-X"]);
    const freed = await sourcesDuring(world, () => {
      outcome = apply(world.node, settingsOf(4));
    });
    expect(Object.keys(freed)).toEqual([node]);
    expect(outcome?.removed).toEqual(["chain ip filter FLANNEL-FWD of upstream's flanneld"]);
    expect(outcome?.obstacles).toEqual([]);
  }, 60_000);

  test("what cannot be removed of upstream's is told, and ours is in force", async () => {
    await using netns = await createNetns();
    await loadUpstreamRules(netns, 4);
    await netns.run(["iptables", "-t", "nat", "-N", "FOREIGN"]);
    await netns.run(["iptables", "-t", "nat", "-A", "FOREIGN", "-j", "FLANNEL-POSTRTG"]);
    const outcome = apply(netns, settingsOf(4));
    expect(outcome.failed).toEqual([]);
    expect(outcome.repaired).toEqual(["table ip flannel-ipv4 missing"]);
    expect(outcome.removed).toEqual(["chain ip filter FLANNEL-FWD of upstream's flanneld"]);
    expect(outcome.notRemoved).toEqual([
      "chain ip nat FLANNEL-POSTRTG of upstream's flanneld: " +
        "Cannot delete chain ip nat FLANNEL-POSTRTG: device or resource busy (EBUSY)",
    ]);
    expect(await ruleset(netns)).toContain("masquerade fully-random");
  });

  test("where neither masquerade nor forwarding is wanted for pods, upstream's rules go as well", async () => {
    await using netns = await createNetns();
    await netns.run(["nft", "-f", "-"], { stdin: upstreamNft });
    await loadUpstreamRules(netns, 4);
    apply(netns, { ...settingsOf(4), masquerade: undefined, forward: false });
    expect(await ruleset(netns)).not.toMatch(/flannel/i);
  });

  test("where the family is off, ours goes and upstream's stays, also in a table that was ours", async () => {
    await using netns = await createNetns();
    const nothing = { ...settingsOf(4), pods: undefined };
    apply(netns, settingsOf(4));
    apply(netns, nothing);
    expect(await ruleset(netns)).toBe("");
    apply(netns, settingsOf(4));
    await netns.run(["nft", "-f", "-"], { stdin: upstreamNft });
    await loadUpstreamRules(netns, 4);
    const theirs = await ruleset(netns);
    expect(apply(netns, nothing)).toMatchObject({ repaired: [], removed: [], failed: [] });
    expect(await ruleset(netns)).toBe(theirs);
  });
});

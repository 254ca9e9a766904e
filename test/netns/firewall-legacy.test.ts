/** What the daemon says about rules of iptables-legacy, and that its commands do what it says they are for. */
import { expect, test } from "bun:test";

import { parseCidr } from "../../src/addr/cidr.ts";
import { type Family, families } from "../../src/addr/ip.ts";
import { listLegacyAdvice } from "../../src/firewall/legacy.ts";
import { inNetns } from "../../src/sys/netns.ts";
import { apply, settingsOf } from "../helpers/firewall.ts";
import { createFlowWorld, type FlowWorld } from "../helpers/flow-world.ts";
import { flowAddresses, flowsOf } from "../helpers/flows.ts";
import { openNetns } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const programs: Readonly<Record<Family, string>> = { 4: "iptables-legacy", 6: "ip6tables-legacy" };

function advice(netns: TestNetns, family: Family, forward = true): readonly string[] {
  using namespace = openNetns(netns);
  const network = forward ? parseCidr(flowAddresses[family].network) : undefined;
  return inNetns(namespace, () => listLegacyAdvice(family, network));
}

/** Runs the program once for each line; NET stands for the pod network. */
async function legacy(netns: TestNetns, family: Family, lines: readonly string[]): Promise<void> {
  const { network } = flowAddresses[family];
  for (const line of lines) await netns.run([programs[family], ...line.replace("NET", network).split(" ")]);
}

/** Sends a packet from one pod to one on another node. */
async function forwarded(world: FlowWorld, family: Family): Promise<boolean> {
  const { pod1, remote1 } = flowAddresses[family];
  const flow = flowsOf(family).find(({ source, destination }) => source === pod1 && destination === remote1);
  if (flow === undefined) throw new Error("Cannot go on: there is no flow between the nodes' pods");
  try {
    return (await world.send(flow)) !== "nothing";
  } catch (error) {
    // A rejection reaches the sender.
    if (String(error).includes("ECONNREFUSED")) return false;
    throw error;
  }
}

const upstream = [
  "-N FLANNEL-FWD",
  "-A FLANNEL-FWD -s NET -j ACCEPT",
  "-A FLANNEL-FWD -d NET -j ACCEPT",
  "-I FORWARD 1 -m comment --comment flanneld_forward -j FLANNEL-FWD",
];

interface Scene {
  readonly name: string;
  readonly rules: readonly string[];
  /** Whether pods' packets get through before. */
  readonly passes: boolean;
  /** What is said, undefined for nothing. */
  readonly said: RegExp | undefined;
}

const dropped = /^chain FORWARD of iptables-legacy drops pods' packets, .*; to let them pass: /;
const left = /^chain FLANNEL-FWD of upstream's flanneld is in iptables-legacy, whose chain FORWARD drops .*remove it: /;

const scenes: readonly Scene[] = [
  { name: "a policy that drops", rules: ["-P FORWARD DROP"], passes: false, said: dropped },
  {
    name: "a rule that rejects, behind others",
    rules: ["-A FORWARD -i lo -j ACCEPT", "-A FORWARD -m comment --comment all -j REJECT", "-A FORWARD -i lo -j DROP"],
    passes: false,
    said: dropped,
  },
  { name: "a rule that drops", rules: ["-A FORWARD -j DROP"], passes: false, said: dropped },
  {
    name: "half of what is needed",
    rules: ["-P FORWARD DROP", "-A FORWARD -s NET -j ACCEPT"],
    passes: true,
    said: dropped,
  },
  {
    name: "upstream's chain and a policy that drops",
    rules: ["-P FORWARD DROP", ...upstream],
    passes: true,
    said: left,
  },
  {
    name: "upstream's chain alone",
    rules: upstream,
    passes: true,
    said: /^chain FLANNEL-FWD of upstream's flanneld is in iptables-legacy; to remove it: /,
  },
  {
    name: "what is needed",
    rules: ["-P FORWARD DROP", "-A FORWARD -s NET -j ACCEPT", "-A FORWARD -d NET -j ACCEPT"],
    passes: true,
    said: undefined,
  },
  { name: "an accept of all", rules: ["-P FORWARD DROP", "-A FORWARD -j ACCEPT"], passes: true, said: undefined },
  { name: "a drop of some", rules: ["-A FORWARD -i eth9 -j DROP"], passes: true, said: undefined },
];

await describeWith(["root", "tool:iptables-legacy", "link:veth"], "iptables-legacy", () => {
  for (const family of families) {
    test(`is told about, and the commands let pods' packets pass, IPv${family}`, async () => {
      await using world = await createFlowWorld();
      await world.listen(family);
      apply(world.node, settingsOf(family));
      for (const { name, rules, passes, said } of scenes) {
        await legacy(world.node, family, ["-P FORWARD ACCEPT", "-F", "-X", ...rules]);
        // Upstream's comment has a space.
        const saved = await world.node.run([`${programs[family]}-save`]);
        const spaced = saved.stdout.replace("flanneld_forward", '"flanneld forward"');
        await world.node.run([`${programs[family]}-restore`], { stdin: spaced });
        expect({ name, passes: await forwarded(world, family) }).toEqual({ name, passes });
        const lines = advice(world.node, family);
        expect({ name, count: lines.length }).toEqual({ name, count: said === undefined ? 0 : 1 });
        if (said === undefined) continue;
        expect(lines[0]).toMatch(said);
        await world.node.run(["sh", "-ec", lines[0]?.replace(/^.*?; to [^:]*: /, "") ?? "false"]);
        expect({ name, passes: await forwarded(world, family) }).toEqual({ name, passes: true });
        expect({ name, lines: advice(world.node, family) }).toEqual({ name, lines: [] });
      }
    }, 60_000);
  }

  test("is not told about where pods' packets need not be forwarded, or it is not used", async () => {
    await using netns = await createNetns();
    expect(advice(netns, 4)).toEqual([]);
    await legacy(netns, 4, ["-P FORWARD DROP"]);
    expect(advice(netns, 4)).toHaveLength(1);
    expect(advice(netns, 4, false)).toEqual([]);
  });
});

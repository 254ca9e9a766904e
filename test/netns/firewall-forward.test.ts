import { expect, test } from "bun:test";

import { type Family, families } from "../../src/addr/ip.ts";
import { apply, settingsOf } from "../helpers/firewall.ts";
import { createFlowWorld, type FlowWorld } from "../helpers/flow-world.ts";
import { flowAddresses, flowsOf } from "../helpers/flows.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const programs: Readonly<Record<Family, string>> = { 4: "iptables", 6: "ip6tables" };

/** The rules of the chain FORWARD as iptables writes them, ours in short, its policy first. */
async function forwardOf(netns: TestNetns, family: Family): Promise<readonly string[]> {
  const { stdout } = await netns.run([programs[family], "-S", "FORWARD"]);
  const { network } = flowAddresses[family];
  return stdout
    .trim()
    .split("\n")
    .map((line) =>
      line === ours("-s", network) ? "FROM" : line === ours("-d", network) ? "TO" : line.replace(/^-\w FORWARD /, ""),
    );
}

function ours(option: string, network: string): string {
  return `-A FORWARD ${option} ${network} -m comment --comment "tartan forward" -j ACCEPT`;
}

/** Lines of IPv4 as ip6tables takes and writes them. */
function inFamily(family: Family, lines: readonly string[]): readonly string[] {
  const icmp = family === 4 ? "icmp" : "icmp6";
  return lines.map((line) => {
    const shown = line.replace(/-j REJECT$/, `-j REJECT --reject-with ${icmp}-port-unreachable`);
    return family === 4 ? shown : shown.replace("1.2.3.4/32", "fd00::9/128").replace("1.2.3.4", "fd00::9");
  });
}

/** Runs iptables once for each line. */
async function iptables(netns: TestNetns, family: Family, lines: readonly string[]): Promise<void> {
  for (const line of lines) await netns.run([programs[family], ...line.split(" ")]);
}

interface Scene {
  readonly name: string;
  readonly rules: readonly string[];
  readonly after: readonly string[];
  readonly obstacle?: RegExp;
}

const scenes: readonly Scene[] = [
  { name: "nothing where all is accepted", rules: ["-P FORWARD ACCEPT"], after: ["ACCEPT"] },
  {
    name: "rules at the end where the policy drops",
    rules: ["-P FORWARD DROP", "-N X", "-A FORWARD -j X", "-A FORWARD -i eth9 -j DROP"],
    after: ["DROP", "-j X", "-i eth9 -j DROP", "FROM", "TO"],
  },
  {
    name: "rules right before a reject of all",
    rules: [
      "-N X",
      "-A FORWARD -j X",
      "-A FORWARD -i lo -j ACCEPT",
      "-A FORWARD -j REJECT",
      "-A FORWARD -i lo -j DROP",
    ],
    after: ["ACCEPT", "-j X", "-i lo -j ACCEPT", "FROM", "TO", "-j REJECT", "-i lo -j DROP"],
  },
  {
    name: "rules right before a drop of all, whatever the policy",
    rules: ["-P FORWARD DROP", "-A FORWARD -m comment --comment all -j DROP"],
    after: ["DROP", "FROM", "TO", "-m comment --comment all -j DROP"],
  },
  {
    name: "nothing where a reject stands ahead of a jump",
    rules: ["-N POLICY", "-A FORWARD -j REJECT", "-A FORWARD -j POLICY"],
    after: ["ACCEPT", "-j REJECT", "-j POLICY"],
    obstacle: /drops everything ahead of the jump to POLICY.*no rule of ours is added/,
  },
  {
    name: "nothing where a drop stands ahead of a goto",
    rules: ["-N POLICY", "-A FORWARD -j DROP", "-A FORWARD -s 1.2.3.4 -g POLICY"],
    after: ["ACCEPT", "-j DROP", "-s 1.2.3.4/32 -g POLICY"],
    obstacle: /ahead of the jump to POLICY/,
  },
  {
    name: "rules behind what hands packets to a program",
    rules: ["-P FORWARD DROP", "-A FORWARD -i lo -j ACCEPT", "-A FORWARD -i eth9 -j NFQUEUE --queue-num 1"],
    after: ["DROP", "-i lo -j ACCEPT", "-i eth9 -j NFQUEUE --queue-num 1", "FROM", "TO"],
  },
  {
    name: "nothing where a reject stands ahead of a queue",
    rules: ["-A FORWARD -j REJECT", "-A FORWARD -i eth9 -j NFQUEUE --queue-num 1"],
    after: ["ACCEPT", "-j REJECT", "-i eth9 -j NFQUEUE --queue-num 1"],
    obstacle: /ahead of the jump to target NFQUEUE/,
  },
  {
    name: "nothing for drops that have a condition",
    rules: ["-A FORWARD -m conntrack --ctstate INVALID -j DROP", "-A FORWARD -i eth9 -j REJECT"],
    after: ["ACCEPT", "-m conntrack --ctstate INVALID -j DROP", "-i eth9 -j REJECT"],
  },
  {
    name: "nothing where all is accepted before it is dropped",
    rules: ["-P FORWARD DROP", "-A FORWARD -j ACCEPT", "-A FORWARD -j DROP"],
    after: ["DROP", "-j ACCEPT", "-j DROP"],
  },
  {
    name: "rules before a return of all to a policy that drops",
    rules: ["-P FORWARD DROP", "-A FORWARD -j RETURN", "-A FORWARD -i lo -j ACCEPT"],
    after: ["DROP", "FROM", "TO", "-j RETURN", "-i lo -j ACCEPT"],
  },
];

await describeWith(["root", "tool:iptables"], "the host's FORWARD", () => {
  for (const family of families) {
    test.each(scenes)(`gets $name, IPv${family}`, async ({ rules, after, obstacle }) => {
      await using netns = await createNetns();
      await iptables(netns, family, inFamily(family, rules));
      const outcome = apply(netns, settingsOf(family));
      expect(outcome.failed).toEqual([]);
      expect(await forwardOf(netns, family)).toEqual(inFamily(family, after));
      if (obstacle === undefined) expect(outcome.obstacles).toEqual([]);
      else expect(outcome.obstacles.join()).toMatch(obstacle);
      expect(apply(netns, settingsOf(family)).repaired).toEqual([]);
    });

    test(`keeps one of each over ten rounds of saving, restoring and looking, IPv${family}`, async () => {
      await using netns = await createNetns();
      await iptables(netns, family, ["-P FORWARD DROP", "-N X", "-A FORWARD -j X"]);
      for (let round = 0; round < 10; round++) {
        apply(netns, settingsOf(family));
        await netns.run(["sh", "-c", `${programs[family]}-save | ${programs[family]}-restore`]);
        expect(apply(netns, settingsOf(family)).repaired).toEqual([]);
        expect(await forwardOf(netns, family)).toEqual(["DROP", "-j X", "FROM", "TO"]);
      }
    });
  }

  test("gets rules behind those of nft that lead to chains by a map of verdicts", async () => {
    await using netns = await createNetns();
    await iptables(netns, 4, ["-P FORWARD DROP", "-N X"]);
    apply(netns, settingsOf(4));
    for (const rule of ["ip saddr vmap { 10.0.0.1 : jump X }", "iifname vmap { eth9 : goto X }"]) {
      await netns.run(["nft", `add rule ip filter FORWARD ${rule}`]);
      expect({ rule, repaired: apply(netns, settingsOf(4)).repaired }).toEqual({
        rule,
        repaired: ["chain ip filter FORWARD: 2 rules of ours added, 2 rules of ours removed"],
      });
      const { stdout } = await netns.run(["nft", "list", "chain", "ip", "filter", "FORWARD"]);
      const lines = stdout.trim().split("\n").slice(-5, -2);
      expect(lines[0]?.trim()).toStartWith(rule.slice(0, 12));
      expect(lines.slice(1).map((line) => line.includes("tartan forward"))).toEqual([true, true]);
      expect(apply(netns, settingsOf(4)).repaired).toEqual([]);
    }
  });

  test("loses the rules of ours when they are no longer wanted or needed, and no other rule", async () => {
    await using netns = await createNetns();
    const { network } = flowAddresses[4];
    await iptables(netns, 4, ["-P FORWARD DROP", `-A FORWARD -s ${network} -j ACCEPT`]);
    const theirs = `-s ${network} -j ACCEPT`;
    apply(netns, settingsOf(4));
    expect(await forwardOf(netns, 4)).toEqual(["DROP", theirs, "FROM", "TO"]);
    apply(netns, { ...settingsOf(4), forward: false });
    expect(await forwardOf(netns, 4)).toEqual(["DROP", theirs]);
    apply(netns, settingsOf(4));
    await iptables(netns, 4, ["-P FORWARD ACCEPT"]);
    apply(netns, settingsOf(4));
    expect(await forwardOf(netns, 4)).toEqual(["ACCEPT", theirs]);
    await iptables(netns, 4, ["-P FORWARD DROP"]);
    apply(netns, settingsOf(4));
    apply(netns, { ...settingsOf(4), pods: undefined });
    expect(await forwardOf(netns, 4)).toEqual(["DROP", theirs]);
  });

  test("has rules of ours put right that are doubled, changed, of another network, or ahead of a jump", async () => {
    await using netns = await createNetns();
    const mark = ["-m", "comment", "--comment", "tartan forward", "-j"];
    const { network } = flowAddresses[4];
    await iptables(netns, 4, ["-P FORWARD DROP", "-N POLICY"]);
    await netns.run(["iptables", "-A", "FORWARD", "-s", network, ...mark, "ACCEPT"]);
    await netns.run(["iptables", "-A", "FORWARD", "-s", "10.9.0.0/16", ...mark, "ACCEPT"]);
    await iptables(netns, 4, ["-A FORWARD -j POLICY"]);
    for (const words of [
      ["-d", network],
      ["-d", network],
      ["-d", network, "-i", "eth0"],
    ])
      await netns.run(["iptables", "-A", "FORWARD", ...words, ...mark, "ACCEPT"]);
    await netns.run(["iptables", "-A", "FORWARD", "-s", network, ...mark, "DROP"]);
    apply(netns, settingsOf(4));
    expect((await forwardOf(netns, 4)).toSorted()).toEqual(["-j POLICY", "DROP", "FROM", "TO"]);
    expect((await forwardOf(netns, 4)).indexOf("-j POLICY")).toBe(1);
    expect(apply(netns, settingsOf(4)).repaired).toEqual([]);
  });

  test("lets pods' packets pass, and a policy's chain still drops those of one pod, jumped to first or last", async () => {
    await using world = await createFlowWorld();
    await world.listen(4);
    const { pod2 } = flowAddresses[4];
    await iptables(world.node, 4, ["-P FORWARD DROP", "-N POLICY", `-A POLICY -s ${pod2} -j DROP`]);
    expect(await outgoing(world)).toEqual({ pod1: "nothing", pod2: "nothing" });
    apply(world.node, settingsOf(4));
    const { node } = flowAddresses[4];
    expect(await outgoing(world)).toEqual({ pod1: node, pod2: node });
    await iptables(world.node, 4, ["-I FORWARD -j POLICY"]);
    apply(world.node, settingsOf(4));
    expect(await outgoing(world)).toEqual({ pod1: node, pod2: "nothing" });
    await iptables(world.node, 4, ["-D FORWARD -j POLICY", "-A FORWARD -j POLICY"]);
    apply(world.node, settingsOf(4));
    expect(await outgoing(world)).toEqual({ pod1: node, pod2: "nothing" });
    await iptables(world.node, 4, ["-P FORWARD ACCEPT", "-A FORWARD -j REJECT"]);
    apply(world.node, settingsOf(4));
    expect(await outgoing(world)).toEqual({ pod1: node, pod2: "nothing" });
  }, 60_000);
});

/** What a machine outside sees of a packet of each pod. */
async function outgoing(world: FlowWorld): Promise<Readonly<Record<string, string>>> {
  const flow = flowsOf(4).find(({ name }) => name === "pod to outside");
  if (flow === undefined) throw new Error("Cannot find the flow of a pod to the outside");
  const { pod1, pod2 } = flowAddresses[4];
  return {
    pod1: await world.send({ ...flow, from: "pod1", source: pod1 }),
    pod2: await world.send({ ...flow, from: "pod2", source: pod2 }),
  };
}

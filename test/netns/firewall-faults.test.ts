import { expect, test } from "bun:test";

import { applyFirewall } from "../../src/firewall/firewall.ts";
import { planFlannelTable } from "../../src/firewall/flannel-table.ts";
import { findHostForward, planHostForward } from "../../src/firewall/host-forward.ts";
import { FirewallEvents } from "../../src/firewall/relevance.ts";
import { planRepair, readTable } from "../../src/firewall/table.ts";
import { listUpstreamChains, planRemoval } from "../../src/firewall/upstream.ts";
import { NetlinkEvents } from "../../src/netlink/events.ts";
import type { Request } from "../../src/netlink/message.ts";
import { NETLINK_NETFILTER, NFNLGRP_NFTABLES } from "../../src/netlink/nftables-constants.ts";
import { listRules, listTables } from "../../src/netlink/nftables-dump.ts";
import { commit, commitOrThrow } from "../../src/netlink/nftables-transaction.ts";
import { addTable, deleteRule } from "../../src/netlink/nftables.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { inNetns } from "../../src/sys/netns.ts";
import { apply, settingsOf } from "../helpers/firewall.ts";
import { openNetlink, openNetns } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { ruleset } from "../helpers/nftables.ts";
import { describeWith } from "../helpers/require.ts";
import { loadUpstreamRules } from "../helpers/upstream-rules.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const ip = { family: 2, name: "nobody" };

function open(netns: TestNetns): NetlinkSocket {
  return openNetlink(netns, NETLINK_NETFILTER);
}

/** Transactions of the daemon's, each planned on what it finds. */
const transactions: readonly {
  readonly name: string;
  readonly prepare: (netns: TestNetns) => Promise<unknown>;
  readonly plan: (socket: NetlinkSocket) => readonly Request[];
}[] = [
  { name: "a table made", prepare: async () => undefined, plan: planOwn },
  {
    name: "a table made anew",
    prepare: async (netns) => {
      apply(netns, settingsOf(4));
      await netns.run(["nft", "add", "set", "ip", "flannel-ipv4", "s", "{ type ipv4_addr; }"]);
    },
    plan: planOwn,
  },
  {
    name: "rules replaced",
    prepare: async (netns) => apply(netns, settingsOf(4, ["10.0.0.0/8"])),
    plan: planOwn,
  },
  {
    name: "rules added to the host's FORWARD",
    prepare: (netns) => netns.run(["iptables", "-P", "FORWARD", "DROP"]),
    plan: (socket) => planHostForward(findHostForward(socket, 4), settingsOf(4).pods?.network).requests,
  },
  {
    name: "upstream's chains removed",
    prepare: (netns) => loadUpstreamRules(netns, 4),
    plan: (socket) => listUpstreamChains(socket, 4).flatMap((chain) => planRemoval(chain).requests),
  },
];

function planOwn(socket: NetlinkSocket): readonly Request[] {
  const plan = planFlannelTable(settingsOf(4));
  return planRepair(readTable(socket, plan), plan).requests;
}

/** Loads a table with so many rules of the kind kube-proxy makes. */
async function loadForeignRules(netns: TestNetns, count: number): Promise<void> {
  const rules = Array.from(
    { length: count },
    (_, index) =>
      `add rule ip kube services ip daddr 10.96.${(index >> 8) & 255}.${index & 255} tcp dport 443 counter accept`,
  );
  const lines = ["add table ip kube", "add chain ip kube services", ...rules];
  await netns.run(["nft", "-f", "-"], { stdin: lines.join("\n"), timeoutMs: 60_000 });
}

/** Has nft do something while this process waits and reads nothing. */
function loadHeldUp(netns: TestNetns, lines: readonly string[]): void {
  Bun.spawnSync([...netns.argv(["nft", "-f", "-"])], { stdin: Buffer.from(lines.join("\n")) });
}

await describeWith(["root", "tool:nft", "tool:iptables"], "the firewall, disturbed", () => {
  test.each(transactions)(
    "$name: each message refused in turn leaves everything as it was",
    async ({ prepare, plan }) => {
      await using netns = await createNetns();
      await prepare(netns);
      using socket = open(netns);
      const requests = plan(socket);
      expect(requests.length).toBeGreaterThan(1);
      const before = await ruleset(netns);
      for (let index = 0; index < requests.length; index++) {
        const refused = requests.with(index, deleteRule(ip, "nowhere", 1));
        expect(commit(socket, refused)).toMatchObject({ kind: "refused" });
        expect(await ruleset(netns)).toBe(before);
      }
      expect(commit(socket, requests)).toEqual({ kind: "done" });
      expect(plan(socket)).toEqual([]);
    },
  );

  test.each([6, 100])(
    "what others commit %d times between reading and writing is not undone, nor lost",
    async (most) => {
      await using netns = await createNetns();
      await netns.run(["iptables", "-P", "FORWARD", "DROP"]);
      using socket = open(netns);
      using other = open(netns);
      // Each time, somebody commits when we have read and planned, and are about to send: never ending for three transactions.
      let commits = 0;
      const disturbed = new Proxy(socket, {
        get(target, key): unknown {
          if (key === "transaction" && commits < most)
            commitOrThrow(other, [addTable({ ...ip, name: `other${commits++}` })]);
          const value: unknown = Reflect.get(target, key, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
      const outcome = applyFirewall(disturbed, settingsOf(4));
      expect(outcome.failed).toEqual([]);
      expect(commits).toBe(Math.min(most, 22));
      expect(listTables(socket).filter(({ name }) => name.startsWith("other"))).toHaveLength(commits);
      const text = await ruleset(netns);
      expect(text).toContain("masquerade fully-random");
      expect(text.match(/tartan forward/g)).toHaveLength(2);
    },
  );

  test("40,000 rules of others make no difference, and stay", async () => {
    await using netns = await createNetns();
    await loadForeignRules(netns, 40_000);
    using socket = open(netns);
    const start = performance.now();
    expect(applyFirewall(socket, settingsOf(4)).failed).toEqual([]);
    expect(applyFirewall(socket, settingsOf(4))).toMatchObject({ repaired: [], failed: [] });
    const applied = performance.now();
    expect(listRules(socket, { family: 2, name: "kube" }, "services")).toHaveLength(40_000);
    // None of them was read: that takes many times as long.
    expect(applied - start).toBeLessThan((performance.now() - applied) / 2);
  }, 60_000);

  test("events that are lost are told as a loss, and those about rules of ours are told from others", async () => {
    await using netns = await createNetns();
    using namespace = openNetns(netns);
    const filter = new FirewallEvents();
    let [concerning, others, losses] = [0, 0, 0];
    using events = inNetns(
      namespace,
      () =>
        new NetlinkEvents(
          [NFNLGRP_NFTABLES],
          {
            concerned: (datagram) => {
              if (filter.concerns(datagram)) concerning++;
              else others++;
              return false;
            },
            event: () => {},
            lost: () => losses++,
          },
          NETLINK_NETFILTER,
        ),
    );
    expect(events).toBeDefined();
    // This process is held up, so that nothing reads while more comes than the socket can hold.
    loadHeldUp(netns, ["add table ip kube", "add chain ip kube services"]);
    const rule = "add rule ip kube services ip daddr 10.96.0.1 tcp dport 443 counter accept";
    await Bun.sleep(50);
    expect([concerning, losses]).toEqual([0, 0]);
    expect(others).toBeGreaterThan(0);
    loadHeldUp(
      netns,
      Array.from({ length: 100_000 }, () => rule),
    );
    await waitUntil("the loss is told", () => losses > 0);
    const before = [others, losses];
    apply(netns, settingsOf(4));
    await waitUntil("our own are seen", () => concerning > 0);
    await netns.run(["iptables", "-P", "FORWARD", "DROP"]);
    const seen = concerning;
    await netns.run(["iptables", "-A", "FORWARD", "-j", "REJECT"]);
    await waitUntil("a rule in FORWARD is seen", () => concerning > seen);
    expect([others, losses]).not.toEqual(before);
  }, 60_000);
});

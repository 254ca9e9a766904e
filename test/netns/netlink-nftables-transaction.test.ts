import { expect, test } from "bun:test";

import { errno, failedWith } from "../../src/sys/errno.ts";
import * as n from "../../src/netlink/nftables-constants.ts";
import { listTables } from "../../src/netlink/nftables-dump.ts";
import { deleteSet } from "../../src/netlink/nftables-set.ts";
import { changeRuleset, commit, commitOrThrow, readGeneration } from "../../src/netlink/nftables-transaction.ts";
import type { Request } from "../../src/netlink/message.ts";
import { addChain, addTable, deleteRule, type Table } from "../../src/netlink/nftables.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import type { BackgroundProcess } from "../helpers/background.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns } from "../helpers/netns.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const ip: Table = { family: n.NFPROTO_IPV4, name: "t" };

function open(netns: TestNetns): NetlinkSocket {
  return openNetlink(netns, n.NETLINK_NETFILTER);
}

/** Nft, which makes and deletes a table again and again. */
function startStorm(netns: TestNetns): BackgroundProcess {
  const commands = "add table ip storm\ndelete table ip storm";
  return netns.start(["bash", "-c", `exec nft -i < <(yes '${commands}') >/dev/null`]);
}

const hook = { type: "nat", number: n.NF_INET_POST_ROUTING, priority: n.NF_IP_PRI_NAT_SRC, policy: n.NF_ACCEPT };

await describeWith(["root", "tool:nft"], "netlink/nftables-transaction", () => {
  test("commit() does all or nothing, and names each request that was refused with the kernel's reason", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    const missing = { table: ip, name: "missing" };
    const requests = [
      addTable(ip),
      deleteRule(ip, "nowhere", 7),
      addChain({ table: ip, name: "c", hook: undefined }),
      deleteSet(missing.table, missing.name),
    ];
    const outcome = commit(socket, requests);
    if (outcome.kind !== "refused") throw new Error(`Cannot go on: it is ${outcome.kind}`);
    expect(outcome.refusals.map(({ request }) => request)).toEqual([requests[1], requests[3]]);
    expect(outcome.refusals.map(({ error }) => error.message)).toEqual([
      "Cannot delete rule 7 of chain ip t nowhere: no such file or directory (ENOENT)",
      "Cannot delete set ip t missing: no such file or directory (ENOENT)",
    ]);
    expect(listTables(socket)).toEqual([]);
    expect(() => commitOrThrow(socket, requests)).toThrow("Cannot delete rule 7");
    // The socket is as good as before.
    commitOrThrow(socket, [addTable(ip)]);
    expect(listTables(socket)).toHaveLength(1);
  });

  test("commit() tells of a refusal also when there are more than the socket can hold", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    const outcome = commit(
      socket,
      Array.from({ length: 5000 }, (_, index) => deleteRule(ip, "c", index + 1)),
    );
    expect(outcome.kind).toBe("refused");
    commitOrThrow(socket, [addTable(ip)]);
    expect(listTables(socket)).toHaveLength(1);
  });

  test("commit() with a generation does nothing once another process has committed", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    const before = readGeneration(socket);
    await netns.run(["nft", "add", "table", "ip", "theirs"]);
    expect(commit(socket, [addTable(ip)], before)).toEqual({ kind: "stale" });
    expect(listTables(socket).map(({ name }) => name)).toEqual(["theirs"]);
    expect(commit(socket, [addTable(ip)], readGeneration(socket))).toEqual({ kind: "done" });
  });

  test("changeRuleset() plans anew on what another process left", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    using other = open(netns);
    let calls = 0;
    changeRuleset(socket, () => {
      const present = listTables(socket).length;
      if (calls++ < 3) commitOrThrow(other, [addTable({ ...ip, name: `other${calls}` })]);
      return [addTable({ ...ip, name: `after${present}` })];
    });
    expect(listTables(socket).map(({ name }) => name)).toEqual(["other1", "other2", "other3", "after3"]);
  });

  test("changeRuleset() gives up after 10 s without a gap, and needs none where any generation will do", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    using other = open(netns);
    let calls = 0;
    function disturbed(): readonly Request[] {
      commitOrThrow(other, [addTable({ ...ip, name: `other${calls++}` })]);
      return [addTable({ ...ip, name: "mine" })];
    }
    changeRuleset(socket, disturbed, { anyGeneration: true });
    expect(listTables(socket).map(({ name }) => name)).toContain("mine");
    expect(calls).toBe(11);
    const start = performance.now();
    expect(() => changeRuleset(socket, disturbed)).toThrow(/others changed it during each of \d+ attempts in 10 s/);
    expect(performance.now() - start).toBeGreaterThan(9900);
    expect(calls).toBeGreaterThan(1000);
  }, 30_000);

  test("changeRuleset() on any generation plans anew a few times when what it names has gone, then throws the refusal", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    using other = open(netns);
    for (const [gone, thrown] of [
      [3, false],
      [4, true],
    ] as const) {
      let calls = 0;
      function plan(): readonly Request[] {
        commitOrThrow(other, [addTable({ ...ip, name: `other${calls++}` })]);
        return [calls <= 10 + gone ? deleteRule(ip, "nowhere", 7) : addTable({ ...ip, name: `mine${gone}` })];
      }
      function change(): unknown {
        return changeRuleset(socket, plan, { anyGeneration: true });
      }
      if (thrown) expect(change).toThrow("Cannot delete rule 7");
      else change();
      expect(listTables(socket).some(({ name }) => name === `mine${gone}`)).toBe(!thrown);
    }
  });

  test("changeRuleset() finds its gap beside a process that commits without a pause", async () => {
    await using netns = await createNetns();
    await using storm = startStorm(netns);
    using socket = open(netns);
    const before = readGeneration(socket);
    await waitUntil("it commits", () => readGeneration(socket) > before + 100);
    for (let count = 0; count < 20; count++) changeRuleset(socket, () => [addTable({ ...ip, name: `mine${count}` })]);
    expect(storm.exitCode).toBeUndefined();
    expect(listTables(socket).filter(({ name }) => name.startsWith("mine"))).toHaveLength(20);
  }, 30_000);

  test("commit() tells of a request that the kernel refuses on its content", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    const outcome = commit(socket, [addChain({ table: ip, name: "c", hook: { ...hook, type: "none" } })]);
    if (outcome.kind !== "refused") throw new Error(`Cannot go on: it is ${outcome.kind}`);
    expect(failedWith(outcome.refusals[0]?.error, errno.ENOENT)).toBe(true);
  });
});

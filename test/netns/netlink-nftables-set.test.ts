import { expect, test } from "bun:test";

import { ipBytes, ruleset } from "../helpers/nftables.ts";
import * as n from "../../src/netlink/nftables-constants.ts";
import { listElements } from "../../src/netlink/nftables-dump.ts";
import {
  addElements,
  addSet,
  deleteElements,
  elementBytes,
  flushSet,
  ipv4Field,
  ipv6Field,
  portField,
  protocolField,
} from "../../src/netlink/nftables-set.ts";
import { commitOrThrow } from "../../src/netlink/nftables-transaction.ts";
import { addChain, addTable, type Table } from "../../src/netlink/nftables.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns } from "../helpers/netns.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const table: Table = { family: n.NFPROTO_INET, name: "t" };

function open(netns: TestNetns): NetlinkSocket {
  return openNetlink(netns, n.NETLINK_NETFILTER);
}

const port = Uint8Array.of(0x1f, 0x90);

await describeWith(["root", "tool:nft"], "netlink/nftables-set", () => {
  test("elements with keys and data of several fields, with ranges and comments, read the same in nft and in ours", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    const host = { table, key: [ipv6Field, protocolField, portField], interval: false, comment: undefined };
    const web = {
      key: elementBytes([ipBytes("fd00::1"), Uint8Array.of(6), port]),
      data: elementBytes([ipBytes("fd00::2"), Uint8Array.of(0, 80)]),
      comment: "cbr0 0123 eth0",
    };
    const range = {
      key: elementBytes([ipBytes("10.0.0.0"), Uint8Array.of(0, 80)]),
      keyEnd: elementBytes([ipBytes("10.0.0.255"), Uint8Array.of(0, 90)]),
    };
    commitOrThrow(socket, [
      addTable(table),
      addChain({ table, name: "d", hook: undefined }),
      addSet({ ...host, name: "hosts", data: [ipv6Field, portField] }),
      addSet({ table, name: "ranges", key: [ipv4Field, portField], data: undefined, interval: true, comment: "r" }),
      addSet({ table, name: "nets", key: [ipv4Field], data: undefined, interval: true, comment: undefined }),
      addSet({ table, name: "verdicts", key: [portField], data: "verdict", interval: false, comment: undefined }),
      ...addElements(table, "hosts", [web]),
      ...addElements(table, "ranges", [range]),
      ...addElements(table, "nets", [{ key: ipBytes("10.4.0.0") }, { key: ipBytes("10.6.0.0"), intervalEnd: true }]),
      ...addElements(table, "verdicts", [{ key: port, data: { code: n.NFT_GOTO, chain: "d" } }]),
    ]);
    const shown = await ruleset(netns);
    expect(shown).toContain('elements = { fd00::1 . tcp . 8080 comment "cbr0 0123 eth0" : fd00::2 . 80 }');
    expect(shown).toContain("elements = { 10.0.0.0/24 . 80-90 }");
    expect(shown).toContain("elements = { 10.4.0.0/15 }");
    expect(shown).toContain("elements = { 8080 : goto d }");
    expect(listElements(socket, table, "hosts")).toMatchObject([web]);
    expect(listElements(socket, table, "ranges")).toMatchObject([range]);
    expect(listElements(socket, table, "verdicts")).toMatchObject([
      { key: port, data: { code: n.NFT_GOTO, chain: "d" } },
    ]);
    commitOrThrow(socket, [...deleteElements(table, "hosts", [{ key: web.key }]), flushSet(table, "verdicts")]);
    expect(listElements(socket, table, "hosts")).toEqual([]);
    expect(listElements(socket, table, "verdicts")).toEqual([]);
  });

  test("addElements() brings many thousands in one transaction", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    const elements = Array.from({ length: 20_000 }, (_, index) => ({
      key: Uint8Array.of(10, index >> 8, index, 1),
      comment: `pod ${index} ${"x".repeat(80)}`,
    }));
    const set = { table, name: "s", key: [ipv4Field], data: undefined, interval: false, comment: undefined };
    commitOrThrow(socket, [addTable(table), addSet(set), ...addElements(table, "s", elements)]);
    expect(listElements(socket, table, "s")).toHaveLength(20_000);
  });
});

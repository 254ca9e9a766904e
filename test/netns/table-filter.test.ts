/** The filter that keeps events about tables of others from waking the daemon, as the kernel applies it. */
import { expect, test } from "bun:test";

import { NetlinkEvents } from "../../src/netlink/events.ts";
import * as n from "../../src/netlink/nftables-constants.ts";
import { tableFilter } from "../../src/netlink/table-filter.ts";
import { inNetns } from "../../src/sys/netns.ts";
import { nft } from "../helpers/kept-host.ts";
import { openNetns } from "../helpers/netlink-socket.ts";
import { createNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(["root", "tool:nft"], "tableFilter()", () => {
  test("leaves out rules and elements of other tables alone, one by one, and lets the rest pass", async () => {
    await using netns = await createNetns();
    const kinds: number[] = [];
    const filter = tableFilter(["tartan", "nat", "a"]);
    using namespace = openNetns(netns);
    using events = inNetns(
      namespace,
      () =>
        new NetlinkEvents(
          [n.NFNLGRP_NFTABLES],
          { filter, event: ({ type }) => void kinds.push(type & 0xff), lost: () => void kinds.push(-1) },
          n.NETLINK_NETFILTER,
        ),
    );
    /** The kinds of messages that arrive, but for the end of the transaction, which always does. */
    async function arriving(...commands: readonly string[]): Promise<readonly number[]> {
      kinds.length = 0;
      await nft(netns, commands);
      events.drain();
      expect(kinds.at(-1)).toBe(n.NFT_MSG_NEWGEN);
      return kinds.slice(0, -1);
    }
    for (const table of ["tartan", "nat", "a", "other", "natural", "ab"]) {
      const watched = ["tartan", "nat", "a"].includes(table);
      const made = await arriving(
        `add table ip ${table}`,
        `add chain ip ${table} c`,
        `add set ip ${table} s { type ipv4_addr; }`,
      );
      expect(made).toEqual([n.NFT_MSG_NEWTABLE, n.NFT_MSG_NEWCHAIN, n.NFT_MSG_NEWSET]);
      for (const [command, kind] of [
        [`add rule ip ${table} c accept`, n.NFT_MSG_NEWRULE],
        [`add element ip ${table} s { 1.2.3.4 }`, n.NFT_MSG_NEWSETELEM],
        [`delete element ip ${table} s { 1.2.3.4 }`, n.NFT_MSG_DELSETELEM],
        [`flush chain ip ${table} c`, n.NFT_MSG_DELRULE],
      ] as const) {
        expect({ command, kinds: await arriving(command) }).toEqual({ command, kinds: watched ? [kind] : [] });
      }
    }
    // Messages of one transaction come together: nothing is left out with those of others.
    const mixed = await arriving("add rule ip other c accept", "add rule ip tartan c accept", "add rule ip ab c drop");
    expect(mixed).toEqual([n.NFT_MSG_NEWRULE, n.NFT_MSG_NEWRULE, n.NFT_MSG_NEWRULE]);
    expect(await arriving("delete table ip other")).toContain(n.NFT_MSG_DELTABLE);
  });
});

/** The filter that keeps events about tables of others from waking the daemon, as the kernel applies it. */
import { expect, test } from "bun:test";

import { Attributes } from "../../src/netlink/attribute.ts";
import { NetlinkEvents } from "../../src/netlink/events.ts";
import * as n from "../../src/netlink/nftables-constants.ts";
import { type HeardTable, tableFilter } from "../../src/netlink/table-filter.ts";
import { inNetns } from "../../src/sys/netns.ts";
import { nft } from "../helpers/kept-host.ts";
import { openNetns } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

interface Heard {
  readonly kind: number;
  readonly table: string | undefined;
}

/** Hears what the filter lets pass. */
class Listener implements Disposable {
  readonly #netns: TestNetns;
  readonly #events: NetlinkEvents;
  #heard: Heard[] = [];

  constructor(netns: TestNetns, tables: readonly HeardTable[]) {
    this.#netns = netns;
    using namespace = openNetns(netns);
    const listener = {
      filter: tableFilter(tables),
      event: ({ type, body }: { readonly type: number; readonly body: Uint8Array }): void => {
        const table = new Attributes(body.subarray(4)).findString(n.NFTA_RULE_TABLE);
        this.#heard.push({ kind: type & 0xff, table });
      },
      lost: (): void => {
        throw new Error("Cannot count events that are lost");
      },
    };
    this.#events = inNetns(namespace, () => new NetlinkEvents([n.NFNLGRP_NFTABLES], listener, n.NETLINK_NETFILTER));
  }

  /** What is heard of a transaction, but for its end, which always is. */
  async of(...commands: readonly string[]): Promise<readonly Heard[]> {
    this.#heard = [];
    await nft(this.#netns, commands);
    this.#events.drain();
    const heard = this.#heard;
    expect(heard.pop()?.kind).toBe(n.NFT_MSG_NEWGEN);
    return heard;
  }

  [Symbol.dispose](): void {
    this.#events[Symbol.dispose]();
  }
}

await describeWith(["root", "tool:nft"], "tableFilter()", () => {
  test("leaves out rules and elements of other tables alone, one by one, and lets the rest pass", async () => {
    await using netns = await createNetns();
    using listener = new Listener(netns, [{ name: "tartan" }, { name: "nat" }, { name: "a" }]);
    for (const table of ["tartan", "nat", "a", "other", "natural", "ab"]) {
      const watched = ["tartan", "nat", "a"].includes(table);
      const made = await listener.of(
        `add table ip ${table}`,
        `add chain ip ${table} c`,
        `add set ip ${table} s { type ipv4_addr; }`,
      );
      expect(made.map(({ kind }) => kind)).toEqual([n.NFT_MSG_NEWTABLE, n.NFT_MSG_NEWCHAIN, n.NFT_MSG_NEWSET]);
      for (const [command, kind] of [
        [`add rule ip ${table} c accept`, n.NFT_MSG_NEWRULE],
        [`add element ip ${table} s { 1.2.3.4 }`, n.NFT_MSG_NEWSETELEM],
        [`delete element ip ${table} s { 1.2.3.4 }`, n.NFT_MSG_DELSETELEM],
        [`flush chain ip ${table} c`, n.NFT_MSG_DELRULE],
      ] as const) {
        expect({ command, heard: await listener.of(command) }).toEqual({
          command,
          heard: watched ? [{ kind, table }] : [],
        });
      }
    }
    expect((await listener.of("delete table ip other")).map(({ kind }) => kind)).toContain(n.NFT_MSG_DELTABLE);
  });

  test("leaves out whole transactions of others, and no message that is heard of, wherever it stands among theirs", async () => {
    await using netns = await createNetns();
    using listener = new Listener(netns, [{ name: "tartan" }]);
    for (const table of ["tartan", "other"]) await listener.of(`add table ip ${table}`, `add chain ip ${table} c`);
    // Long ones, few in a datagram, and short ones, more than the filter looks at.
    for (const rule of ["ip daddr 192.0.2.1 tcp dport 80 counter drop", "drop"]) {
      const others = Array.from({ length: 60 }, () => `add rule ip other c ${rule}`);
      if (rule !== "drop") expect(await listener.of(...others)).toEqual([]);
      for (let place = 0; place <= others.length; place++) {
        const heard = await listener.of(...others.toSpliced(place, 0, `add rule ip tartan c ${rule}`));
        const ours = heard.filter(({ table }) => table === "tartan");
        expect({ rule, place, ours }).toEqual({ rule, place, ours: [{ kind: n.NFT_MSG_NEWRULE, table: "tartan" }] });
      }
    }
  }, 30_000);

  test("of a table of which some chains are heard, leaves out the others and the elements", async () => {
    await using netns = await createNetns();
    using listener = new Listener(netns, [
      { name: "filter", chains: ["FORWARD", "X-FWD"] },
      { name: "nat", chains: ["X"] },
    ]);
    const long = "filter".padEnd(255, "x");
    for (const table of ["filter", "nat", "raw", long]) {
      const chains = ["FORWARD", "X-FWD", "X", "INPUT"].map((chain) => `add chain ip ${table} ${chain}`);
      await listener.of(`add table ip ${table}`, ...chains, `add set ip ${table} s { type ipv4_addr; }`);
    }
    for (const [place, passes] of [
      ["filter FORWARD", true],
      ["filter X-FWD", true],
      ["filter INPUT", false],
      ["nat X", true],
      ["nat INPUT", false],
      ["raw FORWARD", false],
      // What the filter has no room for passes.
      [`${long} INPUT`, true],
    ] as const) {
      for (const command of [`add rule ip ${place} accept`, `flush chain ip ${place}`]) {
        expect({ command, passes: (await listener.of(command)).length > 0 }).toEqual({ command, passes });
      }
    }
    expect(await listener.of("add element ip filter s { 1.2.3.4 }")).toEqual([]);
  });
});

/** Which of others' changes the daemon looks at the firewall for, by the kernel's own events. */
import { expect, test } from "bun:test";

import { applyFirewall } from "../../src/firewall/firewall.ts";
import { FirewallEvents } from "../../src/firewall/relevance.ts";
import { NetlinkEvents } from "../../src/netlink/events.ts";
import { NETLINK_NETFILTER, NFNLGRP_NFTABLES } from "../../src/netlink/nftables-constants.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { inNetns } from "../../src/sys/netns.ts";
import { apply, settingsOf } from "../helpers/firewall.ts";
import { openNetlink, openNetns } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

/** Counts the datagrams that concern the daemon and those that do not. */
class Counter implements Disposable {
  concerning = 0;
  others = 0;
  readonly #events: NetlinkEvents;

  /** What `own` commits does not concern. */
  constructor(netns: TestNetns, own?: NetlinkSocket) {
    const filter = new FirewallEvents();
    using namespace = openNetns(netns);
    this.#events = inNetns(
      namespace,
      () =>
        new NetlinkEvents(
          [NFNLGRP_NFTABLES],
          {
            concerned: (datagram) => {
              if (filter.concerns(datagram, own?.port)) this.concerning++;
              else this.others++;
              return false;
            },
            event: () => {},
            lost: () => {
              throw new Error("Cannot count events that are lost");
            },
          },
          NETLINK_NETFILTER,
        ),
    );
  }

  /** How many there were since the last time: those that concern the daemon, and all. */
  take(): { readonly concerning: number; readonly all: number } {
    this.#events.drain();
    const counts = { concerning: this.concerning, all: this.concerning + this.others };
    this.concerning = 0;
    this.others = 0;
    return counts;
  }

  [Symbol.dispose](): void {
    this.#events[Symbol.dispose]();
  }
}

/** Rules of FORWARD that may stand anywhere, as iptables and as nft make them. */
const ordinary: readonly string[] = [
  "-i eth9 -j DROP",
  "-s 10.96.0.1/32 -p tcp --dport 443 -j ACCEPT",
  "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  "-s 10.0.0.0/9 -m comment --comment tartan -j REJECT",
  "-m mark --mark 0x1/0x1 -j MARK --set-mark 2",
  "-p udp -m multiport --dports 1,2 -m limit --limit 1/s -j LOG",
];

/** Rules that decide where ours have to stand, or may be ours. */
const telling: readonly string[] = [
  "-j DROP",
  "-j REJECT",
  "-j ACCEPT",
  "-m comment --comment all -j RETURN",
  "-j X",
  "-s 1.2.3.4 -g X",
  "-i eth9 -m comment --comment policy -j X",
  '-s 10.244.0.0/16 -m comment --comment "tartan forward" -j ACCEPT',
];

await describeWith(["root", "tool:nft", "tool:iptables"], "the events of nf_tables", () => {
  test("a rule of FORWARD concerns the daemon when it ends the chain, leads to another one or is marked as ours", async () => {
    await using netns = await createNetns();
    await netns.run(["iptables", "-P", "FORWARD", "DROP"]);
    await netns.run(["iptables", "-N", "X"]);
    using counter = new Counter(netns);
    for (const [rules, concerning] of [
      [ordinary, false],
      [telling, true],
    ] as const) {
      for (const rule of rules) {
        counter.take();
        for (const verb of ["-A", "-D"]) {
          await netns.run(["sh", "-c", `iptables ${verb} FORWARD ${rule}`]);
          const counts = counter.take();
          expect({ verb, rule, concerning: counts.concerning > 0 }).toEqual({ verb, rule, concerning });
          expect(counts.all).toBeGreaterThan(0);
        }
      }
    }
    for (const rule of [
      "ip daddr @s accept",
      "ip saddr 10.0.0.0/9 counter drop",
      "meta mark 1-5 accept",
      "ip saddr 1.2.3.4 return",
      "ip saddr 1.2.3.4 continue",
    ]) {
      await netns.run(["nft", "add set ip filter s { type ipv4_addr; }"]);
      counter.take();
      await netns.run(["nft", `insert rule ip filter FORWARD ${rule}`]);
      expect(counter.take().concerning).toBe(0);
    }
    for (const rule of [
      "ip daddr vmap { 10.0.0.1 : jump X }",
      "jump X",
      "ip saddr 1.2.3.4 goto X",
      "ip saddr 1.2.3.4 meta mark set 1 jump X",
      "drop",
    ]) {
      await netns.run(["nft", `insert rule ip filter FORWARD ${rule}`]);
      expect(counter.take().concerning).toBeGreaterThan(0);
    }
    await netns.run(["iptables", "-P", "FORWARD", "ACCEPT"]);
    expect(counter.take().concerning).toBeGreaterThan(0);
  });

  test("of a transaction about several chains, what concerns the daemon does so wherever it stands", async () => {
    await using netns = await createNetns();
    for (const family of ["ip", "ip6"]) {
      const chains = ["FORWARD", "FORWARDX", "INPUT", "X"].map((chain) => `add chain ${family} filter ${chain}`);
      await netns.run(["nft", "-f", "-"], { stdin: [`add table ${family} filter`, ...chains].join("\n") });
    }
    using counter = new Counter(netns);
    const harmless = [
      "ip filter FORWARD tcp dport 80 drop",
      "ip filter INPUT jump X",
      "ip6 filter FORWARD tcp dport 80 drop",
      "ip filter FORWARD udp dport 80 counter accept",
      "ip filter FORWARDX jump X",
      "ip6 filter INPUT drop",
    ];
    for (const notable of ["ip filter FORWARD tcp dport 80 jump X", "ip6 filter FORWARD drop", undefined]) {
      for (let place = 0; place <= harmless.length; place++) {
        const rules = notable === undefined ? harmless : harmless.toSpliced(place, 0, notable);
        await netns.run(["nft", "-f", "-"], { stdin: rules.map((rule) => `add rule ${rule}`).join("\n") });
        const concerning = counter.take().concerning > 0;
        expect({ notable, place, concerning }).toEqual({ notable, place, concerning: notable !== undefined });
      }
    }
  });

  test("ours in FORWARD concern the daemon when they are added, deleted, flushed or written back by iptables-restore", async () => {
    await using netns = await createNetns();
    await netns.run(["iptables", "-P", "FORWARD", "DROP"]);
    using counter = new Counter(netns);
    apply(netns, settingsOf(4));
    expect(counter.take().concerning).toBeGreaterThan(0);
    for (const command of [
      "iptables-save > /dev/shm/$$ && iptables-restore < /dev/shm/$$; rm /dev/shm/$$",
      `iptables -D FORWARD -s 10.244.0.0/16 -m comment --comment "tartan forward" -j ACCEPT`,
      "iptables -F FORWARD",
      "nft flush ruleset",
    ]) {
      await netns.run(["sh", "-ec", command]);
      expect({ command, concerning: counter.take().concerning > 0 }).toEqual({ command, concerning: true });
      apply(netns, settingsOf(4));
      await netns.run(["iptables", "-P", "FORWARD", "DROP"]);
      apply(netns, settingsOf(4));
      counter.take();
    }
  });

  test("what the daemon itself commits does not concern it, what another does by the same program does", async () => {
    await using netns = await createNetns();
    await netns.run(["iptables", "-P", "FORWARD", "DROP"]);
    using own = openNetlink(netns, NETLINK_NETFILTER);
    using counter = new Counter(netns, own);
    expect(applyFirewall(own, settingsOf(4)).failed).toEqual([]);
    expect(counter.take()).toMatchObject({ concerning: 0 });
    apply(netns, settingsOf(4, ["192.0.2.0/24"]));
    expect(counter.take().concerning).toBeGreaterThan(0);
  });

  test("10,000 ordinary rules in FORWARD leave ours where they are", async () => {
    await using netns = await createNetns();
    await netns.run(["iptables", "-P", "FORWARD", "DROP"]);
    await netns.run(["iptables", "-N", "X"]);
    await netns.run(["iptables", "-A", "FORWARD", "-j", "X"]);
    expect(apply(netns, settingsOf(4)).failed).toEqual([]);
    const rules = Array.from(
      { length: 10_000 },
      (_, index) => `add rule ip filter FORWARD ip daddr 10.96.${(index >> 8) & 255}.${index & 255} counter accept`,
    );
    await netns.run(["nft", "-f", "-"], { stdin: rules.join("\n"), timeoutMs: 60_000 });
    expect(apply(netns, settingsOf(4)).repaired).toEqual([]);
    // A jump that comes behind them moves them behind it.
    await netns.run(["iptables", "-A", "FORWARD", "-j", "X"]);
    expect(apply(netns, settingsOf(4)).repaired.join()).toMatch(/2 rules of ours added, 2 rules of ours removed/);
    const { stdout } = await netns.run(["iptables", "-S", "FORWARD"]);
    expect(stdout.trim().split("\n").slice(-3)).toEqual([
      "-A FORWARD -j X",
      '-A FORWARD -s 10.244.0.0/16 -m comment --comment "tartan forward" -j ACCEPT',
      '-A FORWARD -d 10.244.0.0/16 -m comment --comment "tartan forward" -j ACCEPT',
    ]);
  }, 60_000);
});

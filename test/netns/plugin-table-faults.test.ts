/** The transactions in which the plugins make their tables, as they send them, refused by the kernel at each message. */
import { expect, test } from "bun:test";

import { parseCidr } from "../../src/addr/cidr.ts";
import { parseIp } from "../../src/addr/ip.ts";
import { parseMac } from "../../src/addr/mac.ts";
import { hostPortPart, prepareHostPorts } from "../../src/firewall/host-port-table.ts";
import { hostPortSets, portEntry } from "../../src/firewall/host-ports.ts";
import { guardEntry, guardPart, guardSets, prepareGuard } from "../../src/firewall/mac-guard.ts";
import {
  masqueradeEntry,
  masqueradePart,
  masqueradeSets,
  prepareMasquerade,
} from "../../src/firewall/pod-masquerade.ts";
import type { NamedOwner } from "../../src/firewall/pod-owner.ts";
import { checkEntries, dropEntries, type PodEntry, type PodSets, takeEntries } from "../../src/firewall/pod-sets.ts";
import { findDamage, type TablePart } from "../../src/firewall/pod-table.ts";
import type { Request } from "../../src/netlink/message.ts";
import { NETLINK_NETFILTER } from "../../src/netlink/nftables-constants.ts";
import { deleteRule } from "../../src/netlink/nftables.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { podElements, ruleset } from "../helpers/nftables.ts";
import { describeWith } from "../helpers/require.ts";

const subnets = ["10.244.1.5/24", "fd00:10:244:1::5/64"].map(parseCidr);
const mac = parseMac("0a:00:00:00:00:05");

/** What a pod takes of each table, with what makes the table. */
const kinds: readonly {
  readonly name: string;
  readonly sets: PodSets;
  readonly entries: readonly PodEntry[];
  readonly prepare: (socket: NetlinkSocket) => readonly Request[];
  readonly part: TablePart;
}[] = [
  {
    name: "host ports",
    sets: hostPortSets,
    entries: subnets.flatMap(({ address: target }) =>
      [undefined, parseIp(target.family === 4 ? "192.0.2.1" : "2001:db8::1")].map((address) =>
        portEntry({
          family: target.family,
          address,
          protocol: 6,
          port: 8080,
          target,
          targetPort: 80,
          source: { kind: "local", device: "cni0", markBit: 13 },
        }),
      ),
    ),
    prepare: (socket) => prepareHostPorts(socket, 13),
    part: hostPortPart([13]),
  },
  {
    name: "masquerade",
    sets: masqueradeSets,
    entries: subnets.map(masqueradeEntry),
    prepare: (socket) => prepareMasquerade(socket, subnets),
    part: masqueradePart(subnets),
  },
  {
    name: "check of MAC addresses",
    sets: guardSets,
    entries: [guardEntry("veth0", mac)],
    prepare: prepareGuard,
    part: guardPart(),
  },
];

const owner: NamedOwner = {
  network: "cbr0",
  containerId: "c".repeat(64),
  interfaceName: "eth0",
  device: "veth0",
  pod: "default/web-1",
};

function open(netns: TestNetns): NetlinkSocket {
  return openNetlink(netns, NETLINK_NETFILTER);
}

/** A socket that has one message of each transaction refused, the one of this number; all other messages are sent. */
function refusing(socket: NetlinkSocket, index: number, sizes: number[]): NetlinkSocket {
  return new Proxy(socket, {
    get(target, key): unknown {
      const value: unknown = Reflect.get(target, key, target);
      if (key === "transaction") {
        return (framed: readonly Request[]) => {
          sizes.push(framed.length - 2);
          return target.transaction(index < framed.length - 2 ? framed.with(index + 1, refused) : framed);
        };
      }
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const refused = deleteRule({ family: 2, name: "nobody" }, "nowhere", 1);

await describeWith(["root", "tool:nft"], "the plugins' tables", () => {
  test.each(kinds)(
    "$name: each message refused in turn leaves everything as it was, also beside what another pod has",
    async ({ sets, entries, prepare, part }) => {
      await using netns = await createNetns();
      using socket = open(netns);
      const taking = { owner, entries, prepare: () => prepare(socket), isThere: () => true };
      const sizes: number[] = [];
      for (let index = 0; index === 0 || index < Math.max(...sizes); index++) {
        expect(() => takeEntries(refusing(socket, index, sizes), sets, taking)).toThrow("Cannot delete rule 1");
        expect(await ruleset(netns)).toBe("");
      }
      // The first try, which makes no table, and the transaction that makes it.
      expect(Math.max(...sizes)).toBeGreaterThan(Math.min(...sizes));
      takeEntries(socket, sets, taking);
      expect(() => checkEntries(socket, sets, owner, entries)).not.toThrow();
      expect(findDamage(socket, part)).toBeUndefined();
      const before = await ruleset(netns);
      const elements = await podElements(netns);
      // The same pod once more, which replaces what it had; then what it has is removed.
      sizes.length = 0;
      for (let index = 0; index === 0 || index < Math.max(...sizes); index++) {
        expect(() => takeEntries(refusing(socket, index, sizes), sets, taking)).toThrow("Cannot delete rule 1");
        expect(await ruleset(netns)).toBe(before);
      }
      sizes.length = 0;
      for (let index = 0; index === 0 || index < Math.max(...sizes); index++) {
        expect(() => dropEntries(refusing(socket, index, sizes), sets, owner)).toThrow("Cannot delete rule 1");
        expect(await podElements(netns)).toEqual(elements);
      }
      expect(dropEntries(socket, sets, owner)).toHaveLength(entries.length);
      expect(await podElements(netns)).toEqual([]);
    },
    30_000,
  );
});

import { expect, test } from "bun:test";

import { ipBytes, ruleset } from "../helpers/nftables.ts";
import * as n from "../../src/netlink/nftables-constants.ts";
import {
  findChain,
  findTable,
  listChains,
  listElements,
  listRules,
  listSets,
  listTables,
} from "../../src/netlink/nftables-dump.ts";
import {
  bitwise,
  cmp,
  counter,
  ct,
  type Expression,
  expressionText,
  fib,
  immediate,
  lookup,
  lookupMap,
  masquerade,
  meta,
  metaSet,
  nat,
  payload,
  register,
  verdict,
} from "../../src/netlink/nftables-expression.ts";
import { addSet, deleteSet, ipv4Field, portField, protocolField } from "../../src/netlink/nftables-set.ts";
import { commitOrThrow } from "../../src/netlink/nftables-transaction.ts";
import {
  addChain,
  addRule,
  addTable,
  deleteChain,
  deleteRule,
  deleteTable,
  flushChain,
  replaceRule,
  type RuleSpec,
  type Table,
  tableFamily,
} from "../../src/netlink/nftables.ts";
import type { NetlinkSocket } from "../../src/netlink/socket.ts";
import { openNetlink } from "../helpers/netlink-socket.ts";
import { createNetns } from "../helpers/netns.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";

const table: Table = { family: n.NFPROTO_INET, name: "t" };
const ip: Table = { family: tableFamily(4), name: "t" };

function open(netns: TestNetns): NetlinkSocket {
  return openNetlink(netns, n.NETLINK_NETFILTER);
}

function rule(expressions: readonly Expression[], comment?: string, of: Table = ip): RuleSpec {
  return { table: of, chain: "c", expressions, comment };
}

/** A rule that is told from others by its mark. */
function marked(mark: number): RuleSpec {
  return rule([meta(n.NFT_META_MARK), cmp(n.NFT_CMP_EQ, Uint8Array.of(mark, 0, 0, 0)), verdict(n.NF_ACCEPT)]);
}

async function marks(netns: TestNetns): Promise<readonly number[]> {
  return Array.from((await ruleset(netns)).matchAll(/mark 0x0*(\d+)/g), (match) => Number(match[1]));
}

const saddr = payload(n.NFT_PAYLOAD_NETWORK_HEADER, 12, 4);
const daddr = payload(n.NFT_PAYLOAD_NETWORK_HEADER, 16, 4);
const port = Uint8Array.of(0x1f, 0x90);

/** Rules of ours and how nft shows them. */
const rules: readonly (readonly [string, readonly Expression[]])[] = [
  [
    "ip saddr 10.244.0.0/16 accept",
    [
      // nft loads whole bytes of a prefix instead of masking
      payload(n.NFT_PAYLOAD_NETWORK_HEADER, 12, 2),
      cmp(n.NFT_CMP_EQ, Uint8Array.of(10, 244)),
      verdict(n.NF_ACCEPT),
    ],
  ],
  ["ip daddr != 10.0.0.1 drop", [daddr, cmp(n.NFT_CMP_NEQ, ipBytes("10.0.0.1")), verdict(n.NF_DROP)]],
  ["jump d", [verdict(n.NFT_JUMP, "d")]],
  ["goto d", [verdict(n.NFT_GOTO, "d")]],
  ["return", [verdict(n.NFT_RETURN)]],
  [
    'iifname "cni0" ip saddr 10.0.0.0/9 accept',
    [
      meta(n.NFT_META_IIFNAME),
      cmp(n.NFT_CMP_EQ, new TextEncoder().encode("cni0".padEnd(16, "\0"))),
      saddr,
      bitwise(ipBytes("255.128.0.0"), new Uint8Array(4)),
      cmp(n.NFT_CMP_EQ, ipBytes("10.0.0.0")),
      verdict(n.NF_ACCEPT),
    ],
  ],
  ["masquerade", [masquerade()]],
  ["masquerade fully-random", [masquerade(n.NF_NAT_RANGE_PROTO_RANDOM_FULLY)]],
  ["counter packets 0 bytes 0 accept", [counter(), verdict(n.NF_ACCEPT)]],
  ["ip saddr @s accept", [saddr, lookup("s"), verdict(n.NF_ACCEPT)]],
  ["ip saddr != @s accept", [saddr, lookup("s", n.NFT_LOOKUP_F_INV), verdict(n.NF_ACCEPT)]],
  [
    "ct status dnat accept",
    [
      ct(n.NFT_CT_STATUS),
      bitwise(Uint8Array.of(32, 0, 0, 0), new Uint8Array(4)),
      cmp(n.NFT_CMP_NEQ, new Uint8Array(4)),
      verdict(n.NF_ACCEPT),
    ],
  ],
  ["meta mark set 0x00002000", [immediate(Uint8Array.of(0, 0x20, 0, 0)), metaSet(n.NFT_META_MARK)]],
  [
    "fib daddr type local accept",
    [
      fib(n.NFT_FIB_RESULT_ADDRTYPE, n.NFTA_FIB_F_DADDR),
      cmp(n.NFT_CMP_EQ, Uint8Array.of(2, 0, 0, 0)),
      verdict(n.NF_ACCEPT),
    ],
  ],
  [
    "tcp dport 8080 dnat to 10.0.0.1:8080",
    [
      meta(n.NFT_META_L4PROTO),
      cmp(n.NFT_CMP_EQ, Uint8Array.of(6)),
      payload(n.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2),
      cmp(n.NFT_CMP_EQ, port),
      immediate(ipBytes("10.0.0.1"), register(0)),
      // nft takes a register of 16 bytes for each value
      immediate(port, register(4)),
      nat(n.NFT_NAT_DNAT, n.NFPROTO_IPV4, { address: register(0), port: register(4) }),
    ],
  ],
  [
    "dnat ip to meta l4proto . th dport map @m",
    [
      meta(n.NFT_META_L4PROTO, register(0)),
      payload(n.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, register(1)),
      lookupMap("m", register(0)),
      nat(n.NFT_NAT_DNAT, n.NFPROTO_IPV4, { address: register(0), port: register(1) }),
    ],
  ],
  ["ip saddr vmap @v", [saddr, lookupMap("v", n.NFT_REG_VERDICT)]],
];

/** The rule's text as its comment; nft shows quotes in one as they are, which it cannot read. */
function plain(text: string): string {
  return text.replaceAll('"', "");
}

const hook = { type: "nat", number: n.NF_INET_POST_ROUTING, priority: n.NF_IP_PRI_NAT_SRC, policy: n.NF_ACCEPT };
const sets = [
  addSet({ table: ip, name: "s", key: [ipv4Field], data: undefined, interval: true, comment: "networks" }),
  addSet({
    table: ip,
    name: "m",
    key: [protocolField, portField],
    data: [ipv4Field, portField],
    interval: false,
    comment: undefined,
  }),
  addSet({ table: ip, name: "v", key: [ipv4Field], data: "verdict", interval: false, comment: undefined }),
];

await describeWith(["root", "tool:nft"], "netlink/nftables", () => {
  test("rules of ours read in nft as they are meant, and in ours as nft writes the same", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    commitOrThrow(socket, [
      addTable(ip, "ours"),
      addChain({ table: ip, name: "d", hook: undefined }),
      addChain({
        table: ip,
        name: "c",
        hook: { ...hook, number: n.NF_INET_PRE_ROUTING, priority: n.NF_IP_PRI_NAT_DST },
      }),
      ...sets,
      addChain({ table: ip, name: "p", hook }),
    ]);
    for (const [text, expressions] of rules) {
      const chain = text.startsWith("masquerade") ? "p" : "c";
      commitOrThrow(socket, [addRule({ table: ip, chain, expressions, comment: plain(text) })]);
    }
    const shown = await ruleset(netns);
    for (const [text] of rules) expect(shown).toContain(`\t${text} comment "${plain(text)}"\n`);
    expect(shown).toContain('comment "ours"');

    // nft writes its own rules anew, in a table that differs by name only
    await netns.run(["nft", "-f", "-"], { stdin: shown.replace("table ip t ", "table ip theirs ") });
    const theirs = listRules(socket, { ...ip, name: "theirs" });
    const ours = listRules(socket, ip);
    expect(theirs.map(({ expressions }) => expressions.map(expressionText))).toEqual(
      ours.map(({ expressions }) => expressions.map(expressionText)),
    );
    expect(theirs.map(({ comment, chain }) => [comment, chain])).toEqual(
      ours.map(({ comment, chain }) => [comment, chain]),
    );
    const written = new Map(ours.map(({ comment, expressions }) => [comment, expressions.map(expressionText)]));
    for (const [text, expressions] of rules) expect(written.get(plain(text))).toEqual(expressions.map(expressionText));
  });

  test("tables, chains and sets are listed as they were made", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    const chains = [
      { table: ip, name: "p", hook, use: 0 },
      {
        table: ip,
        name: "f",
        hook: { type: "filter", number: n.NF_INET_FORWARD, priority: -150, policy: n.NF_DROP },
        use: 0,
      },
      { table: ip, name: "d", hook: undefined, use: 0 },
    ];
    commitOrThrow(socket, [addTable(table), addTable(ip, "rules"), ...chains.map(addChain), ...sets]);
    expect(listTables(socket)).toEqual([
      { ...table, flags: 0, use: 0, comment: undefined },
      { ...ip, flags: 0, use: 6, comment: "rules" },
    ]);
    expect(listTables(socket, n.NFPROTO_IPV4).map(({ name }) => name)).toEqual(["t"]);
    expect(findTable(socket, ip)).toEqual({ ...ip, flags: 0, use: 6, comment: "rules" });
    expect(findTable(socket, { ...ip, name: "none" })).toBeUndefined();
    expect(listChains(socket, ip)).toEqual(chains);
    expect(findChain(socket, ip, "f")).toEqual(chains[1]);
    expect(findChain(socket, ip, "none")).toBeUndefined();
    expect(listSets(socket, ip).map(({ name, keyLength, dataLength }) => [name, keyLength, dataLength])).toEqual([
      ["s", 4, undefined],
      ["m", 8, 8],
      ["v", 4, 16],
    ]);
    commitOrThrow(socket, [deleteChain(ip, "d"), deleteSet(ip, "m"), deleteTable(table)]);
    expect(await ruleset(netns)).not.toMatch(/chain d|map m|inet/);
    expect(listRules(socket, table)).toEqual([]);
    expect(listElements(socket, table, "s")).toEqual([]);
  });

  test("addRule() puts a rule first, last, before or after another; replaced, deleted and flushed by handle", async () => {
    await using netns = await createNetns();
    using socket = open(netns);
    commitOrThrow(socket, [addTable(ip), addChain({ table: ip, name: "c", hook: undefined }), addRule(marked(5))]);
    const five = listRules(socket, ip, "c")[0]?.handle ?? 0;
    commitOrThrow(socket, [
      addRule(marked(9)),
      addRule(marked(1), { before: undefined }),
      addRule(marked(4), { before: five }),
      addRule(marked(6), { after: five }),
    ]);
    expect(await marks(netns)).toEqual([1, 4, 5, 6, 9]);
    commitOrThrow(socket, [replaceRule(marked(7), five)]);
    expect(await marks(netns)).toEqual([1, 4, 7, 6, 9]);
    commitOrThrow(socket, [deleteRule(ip, "c", listRules(socket, ip, "c")[1]?.handle ?? 0)]);
    expect(await marks(netns)).toEqual([1, 7, 6, 9]);
    commitOrThrow(socket, [flushChain(ip, "c")]);
    expect(await marks(netns)).toEqual([]);
  });
});

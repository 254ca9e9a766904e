import { expect, test } from "bun:test";

import { readU16 } from "../../../src/base/bytes.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from "../../../src/netlink/constants.ts";
import type { Request } from "../../../src/netlink/message.ts";
import * as n from "../../../src/netlink/nftables-constants.ts";
import { masquerade, meta, bitwise, cmp, payload, verdict } from "../../../src/netlink/nftables-expression.ts";
import {
  addElements,
  addSet,
  deleteElements,
  elementBytes,
  flushSet,
  ipv4Field,
  portField,
  protocolField,
} from "../../../src/netlink/nftables-set.ts";
import {
  addChain,
  addRule,
  addTable,
  deleteChain,
  deleteTable,
  flushChain,
  type Table,
} from "../../../src/netlink/nftables.ts";
import { bytesToHex } from "../../helpers/bytes.ts";
import { capturedTransaction } from "./capture.ts";

const t: Table = { family: n.NFPROTO_IPV4, name: "t" };
const port = Uint8Array.of(0x1f, 0x90);
const keyOfMap = elementBytes([Uint8Array.of(6), port]);

interface Case {
  readonly command: string;
  readonly request: Request | undefined;
  /** Attributes that nft alone sends, and why that is as good. */
  readonly theirs?: readonly string[];
  readonly because?: string;
}

const named = "a set that is there already is named by its name";
const noUserdata = "nft keeps byte orders for itself there; ours has only comments";

const cases: readonly Case[] = [
  {
    command: "add table ip t",
    request: addTable(t),
    theirs: ["2 00000000"],
    because: "flags of zero need no attribute",
  },
  {
    command: "add chain ip t c { type nat hook postrouting priority 100; policy accept; }",
    request: addChain({
      table: t,
      name: "c",
      hook: { type: "nat", number: n.NF_INET_POST_ROUTING, priority: n.NF_IP_PRI_NAT_SRC, policy: n.NF_ACCEPT },
    }),
  },
  { command: "add chain ip t d", request: addChain({ table: t, name: "d", hook: undefined }) },
  {
    command: "add rule ip t c ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random",
    request: addRule({
      table: t,
      chain: "c",
      comment: undefined,
      expressions: [
        payload(n.NFT_PAYLOAD_NETWORK_HEADER, 12, 2),
        cmp(n.NFT_CMP_EQ, Uint8Array.of(10, 244)),
        payload(n.NFT_PAYLOAD_NETWORK_HEADER, 16, 4),
        bitwise(Uint8Array.of(240, 0, 0, 0), new Uint8Array(4)),
        cmp(n.NFT_CMP_NEQ, Uint8Array.of(224, 0, 0, 0)),
        masquerade(n.NF_NAT_RANGE_PROTO_RANDOM_FULLY),
      ],
    }),
  },
  {
    command: 'add rule ip t c meta mark and 0x4000 == 0x4000 return comment "left to kube-proxy"',
    request: addRule({
      table: t,
      chain: "c",
      comment: "left to kube-proxy",
      expressions: [
        meta(n.NFT_META_MARK),
        bitwise(Uint8Array.of(0, 64, 0, 0), new Uint8Array(4)),
        cmp(n.NFT_CMP_EQ, Uint8Array.of(0, 64, 0, 0)),
        verdict(n.NFT_RETURN),
      ],
    }),
    theirs: ["4.1.2.6 00000000"],
    because: "a bitwise operation of no name is the one of number 0",
  },
  {
    command: "insert rule ip t c jump d",
    request: addRule(
      { table: t, chain: "c", comment: undefined, expressions: [verdict(n.NFT_JUMP, "d")] },
      { before: undefined },
    ),
  },
  {
    command: "add set ip t s { type ipv4_addr . inet_service; flags interval; }",
    request: addSet({
      table: t,
      name: "s",
      key: [ipv4Field, portField],
      data: undefined,
      interval: true,
      comment: undefined,
    }),
    theirs: ["13 000400000000"],
    because: noUserdata,
  },
  {
    command: "add element ip t s { 10.0.0.0/24 . 80-90 }",
    request: addElements(t, "s", [
      { key: Uint8Array.of(10, 0, 0, 0, 0, 80, 0, 0), keyEnd: Uint8Array.of(10, 0, 0, 255, 0, 90, 0, 0) },
    ])[0],
    theirs: ["4 00000001"],
    because: named,
  },
  {
    command: "add map ip t m { type inet_proto . inet_service : ipv4_addr . inet_service; }",
    request: addSet({
      table: t,
      name: "m",
      key: [protocolField, portField],
      data: [ipv4Field, portField],
      interval: false,
      comment: undefined,
    }),
    theirs: ["13 000400000000"],
    because: noUserdata,
  },
  {
    command: 'add element ip t m { tcp . 8080 comment "cbr0" : 10.0.0.2 . 80 }',
    request: addElements(t, "m", [
      { key: keyOfMap, data: Uint8Array.of(10, 0, 0, 2, 0, 80, 0, 0), comment: "cbr0" },
    ])[0],
    theirs: ["4 00000002"],
    because: named,
  },
  { command: "delete element ip t m { tcp . 8080 }", request: deleteElements(t, "m", [{ key: keyOfMap }])[0] },
  { command: "flush map ip t m", request: flushSet(t, "m") },
  { command: "flush chain ip t c", request: flushChain(t, "c") },
  { command: "delete chain ip t d", request: deleteChain(t, "d") },
  { command: "delete table ip t", request: deleteTable(t) },
];

test.each(cases)("a request is what nft sends: $command", ({ command, request, theirs = [] }) => {
  const [captured, ...rest] = capturedTransaction(`nft ${command}`);
  if (captured === undefined || request === undefined) throw new Error("Cannot compare: one of them is not there");
  expect(rest).toEqual([]);
  const [ours, other] = [linesOf(request.body.subarray(4)), linesOf(captured.body.subarray(4))];
  expect({ type: request.type, family: request.body[0] }).toEqual({ type: captured.type, family: captured.body[0] });
  expect(ours.filter((line) => !other.includes(line))).toEqual([]);
  expect(other.filter((line) => !ours.includes(line)).map((line) => line.replace(/^13 .*/, "13 000400000000"))).toEqual(
    [...theirs],
  );
  // NLM_F_REQUEST is added when it is sent, and NLM_F_EXCL would refuse what is there already. The kernel does not look
  // for NLM_F_CREATE where a table is added (nf_tables_newtable).
  const create = command.startsWith("add table") ? NLM_F_CREATE : 0;
  expect(request.flags).toBe((captured.flags | create) & ~(NLM_F_REQUEST | NLM_F_EXCL));
});

/** The attributes of a message, a line each with the types that lead to it; nf_tables marks those that hold attributes. */
function linesOf(bytes: Uint8Array, parent = ""): readonly string[] {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const length = readU16(bytes, offset);
    const type = readU16(bytes, offset + 2);
    const content = bytes.subarray(offset + 4, offset + length);
    const path = `${parent}${type & 0x3fff}`;
    if ((type & 0x8000) === 0) lines.push(`${path} ${bytesToHex(content)}`.trimEnd());
    else lines.push(`${path} {}`, ...linesOf(content, `${path}.`));
    offset += (length + 3) & ~3;
  }
  return lines;
}

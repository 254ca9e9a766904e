import { expect, test } from "bun:test";

import { formatIp } from "../../../../src/addr/ip.ts";
import { parseNetworkConfig } from "../../../../src/lease/network-config.ts";
import { type AnnotationName, isAnnotationName } from "../../../../src/sources/kube/annotations.ts";
import { annotationsOf, checkContained, nodeText, podSubnets } from "../../../../src/sources/kube/node-lease.ts";
import type { NodeRecord } from "../../../../src/sources/kube/node-record.ts";
import { NodeTable } from "../../../../src/sources/kube/node-table.ts";
import { attributesOf } from "../../../helpers/lease-store.ts";

const config = parseNetworkConfig('{"Network":"10.244.0.0/16"}');

interface Changes {
  readonly cidrs?: readonly string[];
  readonly version?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

function record(
  name: string,
  { cidrs = ["10.244.1.0/24"], version = "1", annotations = {} }: Changes = {},
): NodeRecord {
  const usual = new Map<AnnotationName, string>([
    ["kube-subnet-manager", "true"],
    ["backend-type", "vxlan"],
    ["backend-data", '{"VNI":1,"VtepMAC":"5a:00:00:00:00:01"}'],
    ["public-ip", "1.1.1.1"],
  ]);
  const changed = new Map(usual);
  for (const [key, value] of Object.entries(annotations)) if (isAnnotationName(key)) changed.set(key, value);
  return { name, resourceVersion: version, podCidrs: cidrs, annotations: changed, initialEnd: false };
}

interface Tested {
  readonly table: NodeTable;
  readonly lines: string[];
}

function tableOf(...records: readonly NodeRecord[]): Tested {
  const lines: string[] = [];
  const table = new NodeTable((line) => lines.push(line));
  table.ownName = "own";
  table.config = config;
  for (const each of records) table.put(each, undefined);
  return { table, lines };
}

function shown({ table }: Tested): readonly string[] {
  return [...table.leases.values()].map(({ key, publicIps }) => `${key} ${publicIps[4] ? formatIp(publicIps[4]) : ""}`);
}

test("NodeTable makes leases of nodes that are flannel's, and of no others", () => {
  const foreign = record("b", { annotations: { "kube-subnet-manager": "True" } });
  const tested = tableOf(record("a"), foreign);
  expect(shown(tested)).toEqual(["10.244.1.0-24 1.1.1.1"]);
  expect(tested.lines).toEqual([]);
});

test("NodeTable keeps the same leases as long as nothing of them changes", () => {
  const tested = tableOf(record("a"));
  const { leases } = tested.table;
  expect(tested.table.put(record("a", { version: "2" }), undefined)).toBe(false);
  expect(tested.table.put(record("z", { annotations: { "kube-subnet-manager": "" } }), undefined)).toBe(false);
  expect(tested.table.leases).toBe(leases);
  expect(tested.table.put(record("a", { annotations: { "public-ip": "1.1.1.2" } }), undefined)).toBe(true);
  expect(tested.table.leases).not.toBe(leases);
});

test("NodeTable removes after a listing what the listing has not named", () => {
  const tested = tableOf(
    record("a"),
    record("b", { cidrs: ["10.244.2.0/24"] }),
    record("own", { cidrs: ["10.244.3.0/24"] }),
  );
  tested.table.beginList();
  tested.table.put(record("b", { cidrs: ["10.244.2.0/24"] }), undefined);
  expect(tested.table.leases.size).toBe(3);
  tested.table.endList();
  expect(shown(tested)).toEqual(["10.244.2.0-24 1.1.1.1"]);
  expect(tested.table.own).toBeUndefined();
});

test("NodeTable follows of two nodes with one pod CIDR the one whose name comes first, but this one before all", () => {
  const two = tableOf(record("b", { annotations: { "public-ip": "1.1.1.2" } }), record("a"));
  expect(shown(two)).toEqual(["10.244.1.0-24 1.1.1.1"]);
  expect(two.lines).toEqual(['Cannot use node "b": node "a" has the same pod CIDR 10.244.1.0-24']);
  two.table.put(record("c", { cidrs: ["10.244.3.0/24"] }), undefined);
  expect(shown(two)).toHaveLength(2);
  expect(two.lines).toHaveLength(1);
  two.table.remove("a");
  expect(shown(two)).toEqual(["10.244.1.0-24 1.1.1.2", "10.244.3.0-24 1.1.1.1"]);
  two.table.put(record("a"), undefined);
  expect(shown(two)).toHaveLength(2);
  expect(two.lines).toHaveLength(2);
  expect(two.lines[1]).toBe(two.lines[0]);
  const mine = tableOf(record("own", { annotations: { "public-ip": "1.1.1.3" } }), record("a"));
  expect(shown(mine)).toEqual(["10.244.1.0-24 1.1.1.3"]);
});

test("NodeTable reports what it cannot use once, and keeps what the node said before, but not of this node", () => {
  const tested = tableOf(record("a"), record("own", { cidrs: ["10.244.2.0/24"] }));
  for (const version of ["2", "3"]) {
    tested.table.put(record("a", { version, annotations: { "public-ip": "x" } }), undefined);
  }
  expect(tested.lines).toEqual([
    'Cannot use node "a", what it said before stays in force: annotation public-ip is "x", and must be an IPv4 address',
  ]);
  tested.table.put(record("own", { cidrs: ["10.244.2.0/24"], annotations: { "backend-data": "{" } }), undefined);
  expect(shown(tested)).toEqual(["10.244.1.0-24 1.1.1.1"]);
  expect(tested.lines[1]).toContain('Cannot use node "own", it is skipped: annotation backend-data cannot be read');
});

test("NodeTable restores what was kept, but over nothing of which the listing under way has told", () => {
  const tested = tableOf();
  const kept = ["a", "b", "c"].map((name, index) => {
    const node = record(name, { cidrs: [`10.244.${index + 1}.0/24`], annotations: { "public-ip": "9.9.9.9" } });
    return [name, nodeText(node)] as const;
  });
  const old = record("own", { version: "", cidrs: ["10.244.9.0/24"] });
  tested.table.beginList();
  tested.table.put(record("a"), undefined);
  tested.table.put(record("b", { cidrs: ["10.244.2.0/24"], annotations: { "kube-subnet-manager": "" } }), undefined);
  tested.table.put(record("own", { version: "7", cidrs: ["10.244.8.0/24"] }), undefined);
  tested.table.restore({ own: old, texts: kept });
  expect(shown(tested)).toEqual(["10.244.1.0-24 1.1.1.1", "10.244.8.0-24 1.1.1.1", "10.244.3.0-24 9.9.9.9"]);
  expect(tested.table.own?.record.podCidrs).toEqual(["10.244.8.0/24"]);
  tested.table.endList();
  expect(shown(tested)).toEqual(["10.244.1.0-24 1.1.1.1", "10.244.8.0-24 1.1.1.1"]);
});

test("NodeTable forgets a node of its own that was restored and that the listing does not name", () => {
  const { table } = tableOf();
  table.beginList();
  table.restore({ own: record("own"), texts: [["own", nodeText(record("own"))]] });
  expect(table.own).toBeDefined();
  table.endList();
  expect([table.own, table.leases.size]).toEqual([undefined, 0]);
});

test("NodeTable passes over what a watch tells of this node later than an answer did, until a listing begins", () => {
  const tested = tableOf(record("own", { version: "10", annotations: { "public-ip": "2.2.2.2" } }));
  expect(tested.table.put(record("own", { version: "9" }), undefined)).toBe(false);
  expect(shown(tested)).toEqual(["10.244.1.0-24 2.2.2.2"]);
  tested.table.beginList();
  expect(tested.table.put(record("own", { version: "3" }), undefined)).toBe(true);
  expect(shown(tested)).toEqual(["10.244.1.0-24 1.1.1.1"]);
});

test("NodeTable waits for the configuration, and makes its leases anew for another one", () => {
  const tested: Tested = { table: new NodeTable(() => undefined), lines: [] };
  tested.table.put(record("a"), undefined);
  expect(shown(tested)).toEqual([]);
  tested.table.config = config;
  expect(shown(tested)).toEqual(["10.244.1.0-24 1.1.1.1"]);
});

test("podSubnets() takes one pod CIDR of each family that the network has, with upstream's words for what is wrong", () => {
  expect(podSubnets("a", ["fd00::/64", "10.244.1.0/24"], config)).toMatchObject({ 6: undefined });
  expect(() => podSubnets("a", [], config)).toThrow('node "a" pod cidr not assigned');
  expect(() => podSubnets("a", ["10.0.0.0/24", "fd00::/64", "10.1.0.0/24"], config)).toThrow(
    'node "a" pod cidrs should be IPv4/IPv6 only or dualstack',
  );
  expect(() => podSubnets("a", ["fd00::/64"], config)).toThrow("missing IPv4 address on n.Spec.PodCIDRs");
});

test.each([
  ["10.244.1.0/24", true],
  ["10.244.0.0/16", true],
  ["10.245.1.0/24", false],
  ["10.0.0.0/8", false],
])("checkContained() judges the pod CIDR %s", (cidr, contained) => {
  const subnets = podSubnets("n", [cidr], config);
  if (contained) checkContained("n", subnets, config);
  else {
    expect(() => checkContained("n", subnets, config)).toThrow(
      `subnet "10.244.0.0/16" specified in the flannel net config doesn't contain "${cidr}" PodCIDR of the "n" node`,
    );
  }
});

test("annotationsOf() writes what upstream writes, byte for byte", () => {
  expect(Object.fromEntries(annotationsOf(attributesOf("1.1.1.1", 0x0a)))).toEqual({
    "kube-subnet-manager": "true",
    "backend-type": "vxlan",
    "backend-data": '{"VNI":1,"VtepMAC":"5a:00:00:00:00:0a"}',
    "public-ip": "1.1.1.1",
  });
  const bare = { ...attributesOf("1.1.1.1"), backendType: "host-gw", backendData: { 4: undefined, 6: undefined } };
  expect(annotationsOf(bare).get("backend-data")).toBe("null");
});

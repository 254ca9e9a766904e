import { expect, test } from "bun:test";

import { parseNetworkConfig } from "../../../src/lease/network-config.ts";
import { changeLines, type Picture } from "../../../src/operator/nodes/changes.ts";
import { type ClusterNode, readNode } from "../../../src/operator/nodes/node.ts";
import { parseNodesOptions } from "../../../src/operator/nodes/options.ts";
import { overviewText } from "../../../src/operator/nodes/overview.ts";
import { findTroubles } from "../../../src/operator/nodes/troubles.ts";
import { UsageError } from "../../../src/operator/usage.ts";

const prefix = "flannel.alpha.coreos.com/";
const config = parseNetworkConfig('{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}');

/** A node as the API server tells of it, well unless it is changed; a change to undefined takes an annotation away. */
function nodeOf(
  number: number,
  changes: Readonly<Record<string, string | undefined>> = {},
  more: object = {},
): ClusterNode {
  const usual = {
    "kube-subnet-manager": "true",
    "backend-type": "vxlan",
    "backend-data": `{"VNI":1,"VtepMAC":"5a:00:00:00:00:0${number}"}`,
    "public-ip": `192.168.1.${number}`,
  };
  const annotations: Record<string, string> = { "example.com/other": "x" };
  for (const [name, value] of Object.entries<string | undefined>({ ...usual, ...changes })) {
    if (value !== undefined) annotations[`${prefix}${name}`] = value;
  }
  const podCIDR = `10.244.${number}.0/24`;
  const conditions = [{ type: "NetworkUnavailable", status: "False", reason: "FlannelIsUp" }];
  const spec = { podCIDR, podCIDRs: [podCIDR] };
  return readNode({ metadata: { name: `n${number}`, annotations }, spec, status: { conditions }, ...more }, prefix);
}

function troublesOf(...nodes: readonly ClusterNode[]): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(findTroubles(nodes, { config, prefix }));
}

test("findTroubles() finds nothing in nodes that are well, nor in one that has no condition", () => {
  expect(troublesOf(nodeOf(1), nodeOf(2), nodeOf(3, {}, { status: {} }))).toEqual({});
});

test("findTroubles() finds nodes without pod CIDR, without flannel, and such as say that they have no network", () => {
  const status = {
    conditions: [{ type: "NetworkUnavailable", status: "True", reason: "NoRoute", message: "Not yet" }],
  };
  expect(
    troublesOf(
      nodeOf(1, {}, { spec: {} }),
      nodeOf(2, { "kube-subnet-manager": undefined }),
      nodeOf(3, { "kube-subnet-manager": "false" }),
      nodeOf(4, {}, { status }),
    ),
  ).toEqual({
    n1: ["no pod CIDR is assigned to it; kube-controller-manager does that"],
    n2: [`annotation ${prefix}kube-subnet-manager is not "true": no flannel daemon has run on it yet`],
    n3: [`annotation ${prefix}kube-subnet-manager is not "true": no flannel daemon has run on it yet`],
    n4: ["its condition NetworkUnavailable is True NoRoute: Not yet"],
  });
});

test.each<readonly [string, Readonly<Record<string, string | undefined>>, object, string]>([
  ["a public IP that is none", { "public-ip": "" }, {}, 'annotation public-ip is "", and must be an IPv4 address'],
  ["data that is no JSON", { "backend-data": "{" }, {}, "annotation backend-data cannot be read"],
  ["no VTEP MAC", { "backend-data": "null" }, {}, 'Cannot read "BackendData.VtepMAC": it must be a hardware address'],
  [
    "a MAC that is a number",
    { "backend-data": '{"VNI":1,"VtepMAC":5}' },
    {},
    "it must be a string, and is the number 5",
  ],
  ["data of another form", { "backend-data": "[1]" }, {}, 'Cannot read "BackendData": it must be an object'],
  ["a group's MAC", { "backend-data": '{"VNI":1,"VtepMAC":"01:00:5e:00:00:01"}' }, {}, "not the address of one device"],
  [
    "another VNI",
    { "backend-data": '{"VNI":7,"VtepMAC":"5a:00:00:00:00:01"}' },
    {},
    "its VNI is 7, the network's is 1",
  ],
  [
    "another backend",
    { "backend-type": "host-gw", "backend-data": "null" },
    {},
    'is "host-gw", the network\'s is "vxlan"',
  ],
  [
    "a pod CIDR that is none",
    {},
    { spec: { podCIDRs: ["10.244.1.0"] } },
    'has the pod CIDR "10.244.1.0", which is none',
  ],
  [
    "a pod CIDR of another network",
    {},
    { spec: { podCIDRs: ["10.42.1.0/24"] } },
    'subnet "10.244.0.0/16" specified in the flannel net config doesn\'t contain "10.42.1.0/24" PodCIDR of the "n1" node',
  ],
])("findTroubles() finds %s", (_, changes, more, text) => {
  const troubles = troublesOf(nodeOf(1, changes, more), nodeOf(2));
  expect(Object.keys(troubles)).toEqual(["n1"]);
  expect(troubles["n1"]).toHaveLength(1);
  expect(troubles["n1"]?.[0]).toContain(text);
});

test("findTroubles() finds on both sides what two nodes share, and subnets that only overlap", () => {
  const wide = nodeOf(2, {}, { spec: { podCIDR: "10.244.2.0/23" } });
  const mac = '{"VNI":1,"VtepMAC":"5A:00:00:00:00:01"}';
  const shared = troublesOf(nodeOf(1), nodeOf(5, { "public-ip": "192.168.1.1", "backend-data": mac }), nodeOf(3), wide);
  expect(shared).toEqual({
    n1: [
      'its public IP 192.168.1.1 is also that of node "n5"',
      'its VTEP MAC 5a:00:00:00:00:01 is also that of node "n5"',
    ],
    n5: [
      'its public IP 192.168.1.1 is also that of node "n1"',
      'its VTEP MAC 5a:00:00:00:00:01 is also that of node "n1"',
    ],
    n3: ['its pod CIDR 10.244.3.0/24 overlaps with 10.244.2.0/23 of node "n2"'],
    n2: ['its pod CIDR 10.244.2.0/23 overlaps with 10.244.3.0/24 of node "n3"'],
  });
});

test("findTroubles() compares nodes with each other also where the network is not known", () => {
  const nodes = [nodeOf(1, {}, { spec: { podCIDRs: ["10.42.1.0/24"] } }), nodeOf(2, { "public-ip": "192.168.1.1" })];
  const troubles = findTroubles(nodes, { config: undefined, prefix });
  expect([...troubles.keys()]).toEqual(["n1", "n2"]);
  expect(troubles.get("n1")).toEqual(['its public IP 192.168.1.1 is also that of node "n2"']);
});

test("overviewText() has a line for each node, then what is wrong, then one about all", () => {
  const nodes = [
    nodeOf(1),
    nodeOf(2, { "public-ip": undefined, "backend-data": '{"VNI":"\u001b[31m"}' }, { spec: {} }),
  ];
  const troubles = new Map([["n2", ["broken\u001b[31m"]]]);
  expect(overviewText({ nodes, config, troubles })).toBe(`\
NODE  POD CIDR       PUBLIC IP    BACKEND  DATA
n1    10.244.1.0/24  192.168.1.1  vxlan    VNI 1, 5a:00:00:00:00:01
n2    -              -            vxlan    {"VNI":"\\u001b[31m"}

n2: broken\\u001b[31m

network 10.244.0.0/16, backend vxlan; 2 nodes, something is wrong with 1
`);
  expect(overviewText({ nodes: [nodeOf(1)], config: undefined, troubles: new Map() })).toEndWith(
    "\n\n1 node, nothing is wrong\n",
  );
});

test("parseNodesOptions() has flannel's names as defaults, and refuses others by name", () => {
  const usual = {
    kind: "show",
    kubeconfigFile: "",
    annotationPrefix: "flannel.alpha.coreos.com",
    netConfPath: undefined,
    namespace: "kube-flannel",
    watch: false,
  } as const;
  expect(parseNodesOptions([])).toEqual(usual);
  expect(parseNodesOptions(["--kubeconfig=/k", "--namespace", "n"])).toEqual({
    ...usual,
    kubeconfigFile: "/k",
    namespace: "n",
  });
  for (const word of ["--watch", "-w"]) expect(parseNodesOptions([word])).toEqual({ ...usual, watch: true });
  expect(parseNodesOptions(["--kubeconfig", "/k", "--help"])).toEqual({ kind: "help" });
  expect(() => parseNodesOptions(["--kubeconfig"])).toThrow(
    new UsageError("nodes", 'option "--kubeconfig" needs a value'),
  );
  expect(() => parseNodesOptions(["--config=/k"])).toThrow(new UsageError("nodes", 'unknown option "--config"'));
  expect(() => parseNodesOptions(["all"])).toThrow(new UsageError("nodes", 'unknown argument "all"'));
});

function pictureOf(...nodes: readonly ClusterNode[]): Picture {
  return { nodes, troubles: findTroubles(nodes, { config, prefix }) };
}

test("changeLines() tells of nodes that come, change and go, and of what is wrong and right again", () => {
  const before = pictureOf(nodeOf(1), nodeOf(2), nodeOf(3, { "kube-subnet-manager": undefined }));
  expect(changeLines(before, before)).toEqual([]);
  const after = pictureOf(nodeOf(4), nodeOf(3), nodeOf(2, { "public-ip": "192.168.1.4" }));
  expect(changeLines(before, after)).toEqual([
    "n1: removed",
    "n2: PUBLIC IP 192.168.1.4, was 192.168.1.2",
    'n2: its public IP 192.168.1.4 is also that of node "n4"',
    `n3: no longer: annotation ${prefix}kube-subnet-manager is not "true": no flannel daemon has run on it yet`,
    "n4: added, POD CIDR 10.244.4.0/24, PUBLIC IP 192.168.1.4, BACKEND vxlan, DATA VNI 1, 5a:00:00:00:00:04",
    'n4: its public IP 192.168.1.4 is also that of node "n2"',
  ]);
  expect(changeLines(pictureOf(), pictureOf(nodeOf(5, { "backend-type": "a\u001b[2J" })))[0]).not.toContain("\u001b");
});

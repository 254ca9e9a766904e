import { expect, test } from "bun:test";

import { parseCidr } from "../../../src/addr/cidr.ts";
import { type FirewallSettings, planFlannelTable } from "../../../src/firewall/flannel-table.ts";
import { planLines } from "../../../src/firewall/table.ts";

const ipv4: FirewallSettings = {
  family: 4,
  pods: { network: parseCidr("10.244.0.0/16"), subnet: parseCidr("10.244.1.0/24") },
  masquerade: { fullyRandom: true, except: [] },
  forward: true,
};

const [fromPods, toPods] = ["payload 1=1 2=1 3=12 4=2; cmp 1=1 3=0x0af4", "payload 1=1 2=1 3=16 4=2; cmp 1=1 3=0x0af4"];
const [fromNode, toNode] = [
  "payload 1=1 2=1 3=12 4=3; cmp 1=1 3=0x0af401",
  "payload 1=1 2=1 3=16 4=3; cmp 1=1 3=0x0af401",
];
const fromOutside = "payload 1=1 2=1 3=12 4=2; cmp 1=1 2=1 3=0x0af4";
const leave = "immediate 2=verdict(-5)";
const accept = "immediate 2=verdict(1)";
const notMulticast =
  "payload 1=1 2=1 3=16 4=4; bitwise 1=1 2=1 3=4 4=0xf0000000 5=0x00000000; cmp 1=1 2=1 3=0xe0000000";

test("planFlannelTable() has the effect of upstream's iptables rules, in their order", () => {
  expect(planLines(planFlannelTable(ipv4))).toEqual([
    "ip flannel-ipv4 postrtg: nat hook 4 priority 100 policy 1",
    `ip flannel-ipv4 postrtg: meta 1=1 2=3; bitwise 1=1 2=1 3=4 4=0x00400000 5=0x00000000; cmp 1=1 3=0x00400000; ${leave}`,
    `ip flannel-ipv4 postrtg: ${fromNode}; ${toPods}; ${leave}`,
    `ip flannel-ipv4 postrtg: ${fromPods}; ${toNode}; ${leave}`,
    `ip flannel-ipv4 postrtg: ${fromOutside}; ${toNode}; ${leave}`,
    `ip flannel-ipv4 postrtg: ${fromPods}; ${notMulticast}; masq 1=16`,
    `ip flannel-ipv4 postrtg: ${fromOutside}; ${toPods}; masq 1=16`,
    "ip flannel-ipv4 forward: filter hook 2 priority 0 policy 1",
    `ip flannel-ipv4 forward: ${fromPods}; ${accept}`,
    `ip flannel-ipv4 forward: ${toPods}; ${accept}`,
  ]);
});

test("planFlannelTable() leaves destinations alone that the configuration names, ahead of the masquerade", () => {
  const except = [parseCidr("10.0.0.0/8"), parseCidr("192.168.7.0/24")];
  const lines = planLines(planFlannelTable({ ...ipv4, forward: false, masquerade: { fullyRandom: false, except } }));
  expect(lines.slice(5)).toEqual([
    `ip flannel-ipv4 postrtg: ${fromPods}; payload 1=1 2=1 3=16 4=1; cmp 1=1 3=0x0a; ${leave}`,
    `ip flannel-ipv4 postrtg: ${fromPods}; payload 1=1 2=1 3=16 4=3; cmp 1=1 3=0xc0a807; ${leave}`,
    `ip flannel-ipv4 postrtg: ${fromPods}; ${notMulticast}; masq`,
    `ip flannel-ipv4 postrtg: ${fromOutside}; ${toPods}; masq`,
  ]);
});

test("planFlannelTable() plans IPv6 apart, in a table of its own", () => {
  const pods = { network: parseCidr("fd00:10:244::/48"), subnet: parseCidr("fd00:10:244:1::/64") };
  const plan = planFlannelTable({ ...ipv4, family: 6, pods, masquerade: undefined });
  expect(planLines(plan)).toEqual([
    "ip6 flannel-ipv6 forward: filter hook 2 priority 0 policy 1",
    `ip6 flannel-ipv6 forward: payload 1=1 2=1 3=8 4=6; cmp 1=1 3=0xfd0000100244; ${accept}`,
    `ip6 flannel-ipv6 forward: payload 1=1 2=1 3=24 4=6; cmp 1=1 3=0xfd0000100244; ${accept}`,
  ]);
  expect(plan.otherChains).toEqual(["postrtg"]);
});

test("planFlannelTable() wants no chains where the family is off, or nothing is asked for", () => {
  expect(planFlannelTable({ ...ipv4, pods: undefined }).chains).toEqual([]);
  expect(planFlannelTable({ ...ipv4, masquerade: undefined, forward: false })).toMatchObject({
    chains: [],
    otherChains: ["postrtg", "forward"],
  });
});

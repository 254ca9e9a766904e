import { expect, test } from "bun:test";

import { parseCidr } from "../../../src/addr/cidr.ts";
import { firewalldText, firewallSettings } from "../../../src/daemon/traffic-report.ts";

const off = { enabled: { 4: true, 6: true }, except: { 4: [], 6: [] } };
const [network, subnet] = [parseCidr("10.244.0.0/16"), parseCidr("10.244.1.1/24")];
const lease = { networks: { 4: network, 6: undefined }, subnets: { 4: subnet, 6: undefined } };
const options = { masquerade: true, fullyRandom: false, forward: true };

test("firewallSettings() plans each family apart, and nothing for one that is off", () => {
  expect(firewallSettings(options, off, lease)).toEqual([
    { family: 4, pods: { network, subnet }, masquerade: { fullyRandom: false, except: [] }, forward: true },
    { family: 6, pods: undefined, masquerade: { fullyRandom: false, except: [] }, forward: true },
  ]);
});

test("firewallSettings() masquerades only where both the flag and the configuration say so", () => {
  for (const [flag, enabled] of [
    [true, true],
    [true, false],
    [false, true],
  ] as const) {
    const config = { ...off, enabled: { 4: enabled, 6: true } };
    const [settings] = firewallSettings({ ...options, masquerade: flag }, config, lease);
    expect(settings?.masquerade !== undefined).toBe(flag && enabled);
  }
});

test("firewalldText() names the pod networks there are, in calls of firewall-cmd that have sources or interfaces", () => {
  const text = firewalldText(firewallSettings(options, off, lease));
  expect(text.slice(text.indexOf("firewall-cmd ")).split(" && ")).toEqual([
    "firewall-cmd --permanent --zone=trusted --add-source=10.244.0.0/16",
    "firewall-cmd --permanent --zone=trusted --add-interface=cni0 --add-interface=flannel.1",
    "firewall-cmd --permanent --add-port=8472/udp",
    "firewall-cmd --reload",
  ]);
});

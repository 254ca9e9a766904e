import { expect, test } from "bun:test";

import { parseIp } from "../../../src/addr/ip.ts";
import { parseCidr } from "../../../src/addr/cidr.ts";
import { decodeVxlanOptions } from "../../../src/backend/vxlan-config.ts";
import { type LeaseDemand, OwnLease } from "../../../src/daemon/own-lease.ts";
import { type Lease, type LeaseSource, noWishes, type SourceState } from "../../../src/lease/lease.ts";
import { leaseOf } from "../../../src/lease/lease-json.ts";
import { parseNetworkConfig } from "../../../src/lease/network-config.ts";
import type { Log } from "../../../src/sys/log.ts";

const config = parseNetworkConfig('{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}');
const settings = {
  config,
  networks: config.networks,
  options: decodeVxlanOptions(config.backend.json),
  masquerade: config.masquerade,
};

function demandOf(publicIp: string): LeaseDemand {
  return { settings, publicIps: { 4: parseIp(publicIp), 6: undefined } };
}

function stateOf(...leases: readonly Lease[]): Extract<SourceState, { readonly kind: "known" }> {
  const byKey = new Map(leases.map((lease) => [lease.key, lease]));
  return { kind: "known", config, leases: byKey, wishes: noWishes, restored: false, stale: undefined };
}

/** Gives a lease, and will publish nothing else of it. */
const refusing: LeaseSource = {
  name: "the test",
  configPath: "/config",
  state: () => stateOf(),
  start: () => undefined,
  acquire: (_, { attributes }) =>
    Promise.resolve(leaseOf("10.244.1.0-24", { 4: parseCidr("10.244.1.0/24"), 6: undefined }, attributes)),
  publish: () => Promise.reject(new Error("not now")),
  findPublished: () => undefined,
  isOwn: () => true,
  announce: () => Promise.resolve(),
  [Symbol.dispose]: () => undefined,
};

/** How long a node waits that could not publish its new address. */
async function waitOf(log: Log): Promise<number | undefined> {
  const memory = { previousSubnets: () => ({ 4: undefined, 6: undefined }), findDeviceMac: () => undefined };
  const own = new OwnLease(refusing, memory, log);
  const lease = await own.ensure(stateOf(), demandOf("192.168.1.1"), 0);
  expect(own.nextAt()).toBeUndefined();
  expect(await own.ensure(stateOf(lease), demandOf("192.168.1.2"), 0)).toBe(lease);
  expect(own.problem).toBe("not now");
  return own.nextAt();
}

test("OwnLease tries to publish again at a time that differs from node to node", async () => {
  const lines: string[] = [];
  const log = { info: () => undefined, warn: () => undefined, error: (line: string): void => void lines.push(line) };
  const waits: number[] = [];
  for (let count = 0; count < 50; count++) waits.push((await waitOf(log)) ?? 0);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(500);
  expect(Math.max(...waits)).toBeLessThan(1000);
  expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(100);
  expect(lines).toHaveLength(50);
});

import { expect, test } from "bun:test";

import { parseCidr } from "../../src/addr/cidr.ts";
import { errorText } from "../../src/base/error.ts";
import {
  configOf,
  describeLease,
  describeState,
  hasLeases,
  leaseText,
  requestOf,
  startSource,
  usualConfig,
  type LeaseStore,
} from "./lease-store.ts";
import { rejection } from "./rejection.ts";
import { waitUntil } from "./wait-until.ts";

/** The part of the suite that is about taking a lease, wherever the subnet comes from. */
export function testTake(createStore: () => Promise<LeaseStore>): void {
  test("acquire() takes a lease, which every source then knows", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    using mine = await startSource(store.open());
    using other = await startSource(store.open());
    const lease = await mine.acquire(configOf(mine), requestOf("1.1.1.1"));
    expect(describeState(mine.state())).toEqual([describeLease(lease)]);
    await hasLeases(other, describeLease(lease));
    expect(JSON.parse((await store.readLease(lease.key)) ?? "")).toEqual({
      PublicIP: "1.1.1.1",
      PublicIPv6: null,
      BackendType: "vxlan",
      BackendData: { VNI: 1, VtepMAC: "5a:00:00:00:00:01" },
    });
  });

  test("acquire() rejects while the store cannot be read", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    await store.writeLease("10.244.1.0-24", leaseText("2.2.2.2"));
    using source = await startSource(store.open());
    const config = configOf(source);
    await store.hide();
    expect(errorText(await rejection(source.acquire(config, requestOf("1.1.1.1"))))).toStartWith(
      "Cannot take a lease from",
    );
    await store.reveal();
    expect(await store.keys()).toEqual(["10.244.1.0-24"]);
  });
}

/** The part of the suite for sources that hand subnets out themselves. */
export function testAcquire(createStore: () => Promise<LeaseStore>): void {
  test("acquire() takes the same lease again, with new attributes, also over the previous subnet", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    await store.writeLease("10.244.9.0-24", leaseText("1.1.1.1", 5));
    await store.writeLease("10.244.8.0-24", leaseText("2.2.2.2"));
    using source = await startSource(store.open());
    const lease = await source.acquire(configOf(source), requestOf("1.1.1.1", "10.244.7.0/24"));
    expect(describeLease(lease)).toBe("10.244.9.0-24 1.1.1.1");
    expect(await store.readLease("10.244.9.0-24")).toContain("5a:00:00:00:00:01");
    await hasLeases(source, "10.244.8.0-24 2.2.2.2", "10.244.9.0-24 1.1.1.1");
    const again = await source.acquire(configOf(source), requestOf("1.1.1.1"));
    expect(again).toEqual(lease);
  });

  test("acquire() takes the previous subnet when it is free", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    using source = await startSource(store.open());
    const lease = await source.acquire(configOf(source), requestOf("1.1.1.1", "10.244.7.0/24"));
    expect(lease.key).toBe("10.244.7.0-24");
  });

  test.each([
    ["belongs to another node", "10.244.7.0-24", "10.244.7.0/24"],
    ["lies in a larger one of another node", "10.244.0.0-20", "10.244.7.0/24"],
    ["is not in the network", "10.244.8.0-24", "10.99.7.0/24"],
    ["has another length", "10.244.8.0-24", "10.244.7.0/25"],
  ])("acquire() leaves the previous subnet that %s", async (_, taken, previous) => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    await store.writeLease(taken, leaseText("2.2.2.2"));
    using source = await startSource(store.open());
    const lease = await source.acquire(configOf(source), requestOf("1.1.1.1", previous));
    expect(lease.subnets[4]).not.toEqual(parseCidr(previous));
    expect(await store.readLease(taken)).toBe(leaseText("2.2.2.2"));
  });

  test("acquire() counts a broken lease and one of another length as taken", async () => {
    await using store = await createStore();
    await store.writeConfig('{"Network":"10.244.0.0/20","SubnetMin":"10.244.4.0","SubnetMax":"10.244.9.0"}');
    await store.writeLease("10.244.4.0-24", "broken");
    await store.writeLease("10.244.5.16-28", leaseText("2.2.2.2"));
    await store.writeLease("10.244.6.0-23", leaseText("3.3.3.3"));
    await store.writeLease("10.244.8.0-24", leaseText("4.4.4.4"));
    using source = await startSource(store.open());
    expect((await source.acquire(configOf(source), requestOf("1.1.1.1"))).key).toBe("10.244.9.0-24");
    const second = source.acquire(configOf(source), requestOf("5.5.5.5"));
    expect(errorText(await rejection(second))).toContain("out of subnets");
  });

  test("acquire() moves to another subnet when the configuration no longer has the old one", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    using source = await startSource(store.open());
    const before = await source.acquire(configOf(source), requestOf("1.1.1.1"));
    await store.writeLease("10.244.250.0-24", leaseText("2.2.2.2"));
    await store.writeConfig('{"Network":"10.243.0.0/16","SubnetLen":25}');
    await waitUntil("the new length is seen", () => configOf(source).subnets[4]?.length === 25);
    const after = await source.acquire(configOf(source), requestOf("1.1.1.1", "10.244.250.0/24"));
    expect(after.key).toMatch(/^10\.243\.\d+\.\d+-25$/);
    expect(await store.keys()).toEqual([after.key, "10.244.250.0-24"].toSorted());
    expect(before.key).not.toBe(after.key);
  });

  test("acquire() by many at once gives each its own subnet, down to the last", async () => {
    await using store = await createStore();
    await store.writeConfig('{"Network":"10.244.0.0/20","SubnetMin":"10.244.1.0","SubnetMax":"10.244.8.0"}');
    using sources = new DisposableStack();
    const asked = Array.from({ length: 12 }, async (_, index) => {
      const source = await startSource(sources.use(store.open()));
      return source.acquire(configOf(source), requestOf(`1.1.1.${index + 1}`));
    });
    const outcomes = await Promise.allSettled(asked);
    const leases = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.key] : []));
    expect(leases).toHaveLength(8);
    expect(await store.keys()).toEqual(leases.toSorted());
  });
}

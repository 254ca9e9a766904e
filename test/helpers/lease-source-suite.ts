/** The tests that every LeaseSource passes: what it knows, how it hands out subnets, how attributes are published. */
import { describe, expect, test } from "bun:test";

import { parseCidr } from "../../src/addr/cidr.ts";
import { errorText } from "../../src/base/error.ts";
import { testAcquire, testTake } from "./lease-source-acquire.ts";
import {
  attributesOf,
  configOf,
  describeState,
  hasLeases,
  ignore,
  leaseIn,
  leaseText,
  macOf,
  requestOf,
  staleReason,
  startSource,
  usualConfig,
  type LeaseStore,
} from "./lease-store.ts";
import { rejection } from "./rejection.ts";
import { waitUntil } from "./wait-until.ts";

/** What a kind of source is like. */
export interface LeaseSourceTraits {
  /** True when it hands subnets out itself, under keys in its store; false when somebody else gives nodes theirs. */
  readonly handsOut: boolean;
}

/** Registers the suite for one kind of source. */
export function testLeaseSource(
  kind: string,
  createStore: () => Promise<LeaseStore>,
  { handsOut }: LeaseSourceTraits = { handsOut: true },
): void {
  describe(`${kind}: what a source knows`, () => testState(createStore));
  if (handsOut) describe(`${kind}: what stands under keys`, () => testKeys(createStore));
  describe(`${kind}: how leases are taken`, () => testTake(createStore));
  if (handsOut) describe(`${kind}: how subnets are handed out`, () => testAcquire(createStore));
  describe(`${kind}: how attributes are published`, () => testPublish(createStore));
}

function testState(createStore: () => Promise<LeaseStore>): void {
  test("state() is unknown until there is a configuration, and says so", async () => {
    await using store = await createStore();
    using source = store.open();
    expect(source.state().kind).toBe("unknown");
    source.start(ignore);
    await waitUntil("the reason is named", () =>
      /flannel config not found/.test(describeState(source.state()).join("")),
    );
    await store.writeConfig(usualConfig);
    await hasLeases(source);
    expect(source.state()).toMatchObject({ kind: "known", stale: undefined });
  });

  test("state() has the leases that were there before", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1", 7));
    await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
    using source = await startSource(store.open());
    await hasLeases(source, "10.244.1.0-24 1.1.1.1", "10.244.2.0-24 2.2.2.2");
    expect(leaseIn(source, "10.244.1.0-24")).toMatchObject(attributesOf("1.1.1.1", 7));
    expect(leaseIn(source, "10.244.1.0-24").subnets).toEqual({ 4: parseCidr("10.244.1.0/24"), 6: undefined });
  });

  test("state() follows leases that come, change and go, and tells of each", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    using source = store.open();
    let calls = 0;
    source.start(() => calls++);
    await hasLeases(source);
    await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
    await hasLeases(source, "10.244.1.0-24 1.1.1.1");
    const before = source.state();
    const callsBefore = calls;
    await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1", 9));
    await waitUntil("the new MAC is seen", () => macOf(source, "10.244.1.0-24").endsWith("09"));
    expect(calls).toBeGreaterThan(callsBefore);
    expect(describeState(before)).toEqual(["10.244.1.0-24 1.1.1.1"]);
    await store.removeLease("10.244.1.0-24");
    await hasLeases(source);
  });

  test("state() leaves out a broken lease, reports it by name once, and takes it when it is put right", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    await store.writeLease("10.244.1.0-24", '{"PublicIP":');
    await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
    const lines: string[] = [];
    using source = await startSource(store.open((line) => lines.push(line)));
    await hasLeases(source, "10.244.2.0-24 2.2.2.2");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("10.244.1.0-24");
    await store.writeLease("10.244.3.0-24", leaseText("3.3.3.3"));
    await hasLeases(source, "10.244.2.0-24 2.2.2.2", "10.244.3.0-24 3.3.3.3");
    expect(lines).toHaveLength(1);
    await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
    await hasLeases(source, "10.244.1.0-24 1.1.1.1", "10.244.2.0-24 2.2.2.2", "10.244.3.0-24 3.3.3.3");
  });

  test("state() keeps the last good form of a lease that becomes broken, until it is removed", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
    const lines: string[] = [];
    using source = await startSource(store.open((line) => lines.push(line)));
    await store.writeLease("10.244.1.0-24", '{"PublicIP":"1.1.1.300"}');
    await waitUntil("the broken lease is reported", () => lines.length > 0);
    expect(describeState(source.state())).toEqual(["10.244.1.0-24 1.1.1.1"]);
    await store.removeLease("10.244.1.0-24");
    await hasLeases(source);
    expect(lines).toHaveLength(1);
  });

  test("state() takes a new configuration, and keeps the last good one over a broken one", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    const lines: string[] = [];
    using source = await startSource(store.open((line) => lines.push(line)));
    expect(configOf(source).subnets[4]?.length).toBe(24);
    await store.writeConfig('{"Network":"10.244.0.0/16","SubnetLen":26}');
    await waitUntil("the new length is seen", () => configOf(source).subnets[4]?.length === 26);
    await store.writeConfig('{"Network":"10.244.0.0/29"}');
    await waitUntil("the broken one is reported", () => lines.length > 0);
    expect(lines[0]).toContain("network is too small. Minimum useful network prefix is /28");
    expect(configOf(source).subnets[4]?.length).toBe(26);
    await store.writeConfig(usualConfig);
    await waitUntil("the good one is seen", () => configOf(source).subnets[4]?.length === 24);
  });

  test("state() keeps what it knew while the store cannot be read, and follows it afterwards", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
    using source = await startSource(store.open());
    await store.hide();
    await waitUntil("it is stale", () => staleReason(source) !== undefined);
    expect(describeState(source.state())).toEqual(["10.244.1.0-24 1.1.1.1"]);
    await store.reveal();
    await waitUntil("it is fresh again", () => staleReason(source) === undefined);
    await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
    await store.removeLease("10.244.1.0-24");
    await hasLeases(source, "10.244.2.0-24 2.2.2.2");
  });

  test("state() is unknown, not empty, where the store cannot be read from the start", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    await store.writeLease("10.244.1.0-24", leaseText("1.1.1.1"));
    await store.hide();
    using source = store.open();
    source.start(ignore);
    await Bun.sleep(100);
    expect(source.state().kind).toBe("unknown");
    await store.reveal();
    await hasLeases(source, "10.244.1.0-24 1.1.1.1");
  });
}

function testKeys(createStore: () => Promise<LeaseStore>): void {
  test("state() reports a key that is none and keeps everything else", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    const lines: string[] = [];
    using source = await startSource(store.open((line) => lines.push(line)));
    await store.writeLease("10.244.1.300-24", leaseText("1.1.1.1"));
    await store.writeLease("10.244.4.0-24&fd00:0:0:1::-64", leaseText("4.4.4.4"));
    await store.writeLease("10.244.2.0-24", leaseText("2.2.2.2"));
    await hasLeases(source, "10.244.2.0-24 2.2.2.2");
    await waitUntil("both are reported", () => lines.length === 2);
    expect(lines.join("\n")).toContain("10.244.1.300-24");
    expect(lines.join("\n")).toContain("10.244.4.0-24&fd00:0:0:1::-64");
  });
}

function testPublish(createStore: () => Promise<LeaseStore>): void {
  test("publish() changes the attributes for every source", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    using mine = await startSource(store.open());
    using other = await startSource(store.open());
    const lease = await mine.acquire(configOf(mine), requestOf("1.1.1.1"));
    const published = await mine.publish(lease, attributesOf("1.1.1.2", 0x77));
    expect(published).toEqual({ ...lease, ...attributesOf("1.1.1.2", 0x77) });
    expect(macOf(mine, lease.key)).toEndWith("77");
    await waitUntil("the other has it", () => describeState(other.state())[0] === `${lease.key} 1.1.1.2`);
    expect(macOf(other, lease.key)).toEndWith("77");
  });

  test("publish() rejects for a lease that is gone, and for one that became another node's", async () => {
    await using store = await createStore();
    await store.writeConfig(usualConfig);
    using source = await startSource(store.open());
    const lease = await source.acquire(configOf(source), requestOf("1.1.1.1"));
    await store.writeLease(lease.key, leaseText("2.2.2.2"));
    expect(errorText(await rejection(source.publish(lease, attributesOf("1.1.1.1", 3))))).toContain("2.2.2.2");
    expect(await store.readLease(lease.key)).toBe(leaseText("2.2.2.2"));
    await store.removeLease(lease.key);
    expect(errorText(await rejection(source.publish(lease, attributesOf("1.1.1.1", 3))))).toContain(lease.key);
    expect(await store.keys()).toEqual([]);
  });
}

/** What the tests of lease sources share: a store, and ways to look at a source. */
import { expect } from "bun:test";

import { type Cidr, parseCidr } from "../../src/addr/cidr.ts";
import { type ByFamily, formatIp, parseIp } from "../../src/addr/ip.ts";
import { Decoder } from "../../src/base/decode.ts";
import type { Lease, LeaseAttributes, LeaseRequest, LeaseSource, SourceState } from "../../src/lease/lease.ts";
import { encodeLeaseAttributes } from "../../src/lease/lease-json.ts";
import type { NetworkConfig } from "../../src/lease/network-config.ts";
import { waitUntil } from "./wait-until.ts";

/** A store of leases, and what people and other nodes do to it. */
export interface LeaseStore extends AsyncDisposable {
  /** A source of its own over this store, as each node has one. The test disposes of it. */
  open(report?: (line: string) => void): LeaseSource;
  writeConfig(text: string): Promise<void>;
  writeLease(key: string, text: string): Promise<void>;
  removeLease(key: string): Promise<void>;
  readLease(key: string): Promise<string | undefined>;
  keys(): Promise<readonly string[]>;
  /** Makes the store unreadable as a whole. */
  hide(): Promise<void>;
  /** Makes it readable again, with all that was in it. */
  reveal(): Promise<void>;
}

/** The configuration that most tests begin with. */
export const usualConfig = '{ "Network": "10.244.0.0/16", "Backend": { "Type": "vxlan" } }';

/** A vxlan node's attributes; the last byte of its MAC is given. */
export function attributesOf(publicIp: string, mac = 1): LeaseAttributes {
  const address = `5a:00:00:00:00:${mac.toString(16).padStart(2, "0")}`;
  return {
    publicIps: { 4: parseIp(publicIp), 6: undefined },
    backendType: "vxlan",
    backendData: { 4: { VNI: 1, VtepMAC: address }, 6: undefined },
  };
}

/** The value of a lease of such a node. */
export function leaseText(publicIp: string, mac = 1): string {
  return encodeLeaseAttributes(attributesOf(publicIp, mac));
}

/** What a node with this address asks for. */
export function requestOf(publicIp: string, previous?: string): LeaseRequest {
  const before: ByFamily<Cidr> = { 4: previous === undefined ? undefined : parseCidr(previous), 6: undefined };
  return { attributes: attributesOf(publicIp), previous: before };
}

/** The leases of a source as `key address`, sorted; or why it knows none. */
export function describeState(state: SourceState): readonly string[] {
  if (state.kind === "unknown") return [`unknown: ${state.reason}`];
  return [...state.leases.values()].map(describeLease).toSorted();
}

/** The configuration that a source knows. */
export function configOf(source: LeaseSource): NetworkConfig {
  const state = source.state();
  if (state.kind === "unknown") throw new Error(`Cannot use ${source.name}: ${state.reason}`);
  return state.config;
}

/** Starts a source and waits until it knows the store. */
export async function startSource(source: LeaseSource): Promise<LeaseSource> {
  source.start(ignore);
  await waitUntil(`${source.name} is known`, () => source.state().kind === "known");
  return source;
}

/** Waits until a source has exactly these leases, each as `key address`. */
export async function hasLeases(source: LeaseSource, ...wanted: readonly string[]): Promise<void> {
  const text = wanted.toSorted().join("\n");
  try {
    await waitUntil(`the leases are ${text}`, () => describeState(source.state()).join("\n") === text);
  } catch {
    // The comparison shows what they are instead.
  }
  expect(describeState(source.state())).toEqual(wanted.toSorted());
}

/** `key address` of a lease. */
export function describeLease(lease: Lease): string {
  return `${lease.key} ${lease.publicIps[4] === undefined ? "without an address" : formatIp(lease.publicIps[4])}`;
}

/** The lease of this key that a source knows. Throws when it knows none. */
export function leaseIn(source: LeaseSource, key: string): Lease {
  const state = source.state();
  const lease = state.kind === "known" ? state.leases.get(key) : undefined;
  if (lease === undefined) throw new Error(`Cannot find lease "${key}": there is ${describeState(state).join(", ")}`);
  return lease;
}

/** The MAC that a vxlan lease tells, or nothing. */
export function macOf(source: LeaseSource, key: string): string {
  const data = leaseIn(source, key).backendData[4];
  return new Decoder(data).field("VtepMAC").string() ?? "";
}

/** Why a source cannot be read now. */
export function staleReason(source: LeaseSource): string | undefined {
  const state = source.state();
  return state.kind === "known" ? state.stale : undefined;
}

/** For `start`, where the test looks at `state()` itself. */
export function ignore(): void {
  // There is nothing to do.
}

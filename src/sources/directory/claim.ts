import { formatIp } from "../../addr/ip.ts";
import { chooseOwnLease, chooseSubnets } from "../../lease/allocate.ts";
import { formatLeaseKey } from "../../lease/key.ts";
import type { Lease, LeaseAttributes, LeaseRequest } from "../../lease/lease.ts";
import { decodeLeaseAttributes, encodeLeaseAttributes, leaseOf, sameAttributes } from "../../lease/lease-json.ts";
import type { NetworkConfig } from "../../lease/network-config.ts";
import type { LeaseFiles } from "./files.ts";

/** Each attempt that fails lost against another node that won, so that many mean something else is wrong. */
const claimAttempts = 100;

/** Two nodes that gave up for each other must not meet again: they wait up to this many milliseconds, drawn. */
const pauseMs = 20;

/**
 * Takes a lease for this node: its own among `leases`, which is all that is in the directory, its previous subnet, or a
 * free one. Throws a SyscallError when nothing can be written, and an Error when no subnet is free.
 */
export async function claimLease(
  files: LeaseFiles,
  leases: Iterable<Lease>,
  { config, request }: { readonly config: NetworkConfig; readonly request: LeaseRequest },
): Promise<Lease> {
  const { attributes, previous } = request;
  const text = leaseText(attributes);
  const own = chooseOwnLease(config, leases, request);
  if (own.keep !== undefined) {
    if (!sameAttributes(own.keep, attributes)) files.replace(own.keep.key, text);
    return leaseOf(own.keep.key, own.keep.subnets, attributes);
  }
  for (const lease of own.remove) files.remove(lease.key);
  for (let attempt = 0; attempt < claimAttempts; attempt++) {
    const taken = files.taken().map((other) => other.subnets);
    const subnets = chooseSubnets(config, previous, { taken, draw });
    const key = formatLeaseKey(subnets);
    if (files.claim(key, subnets, text)) return leaseOf(key, subnets, attributes);
    await pause(draw(pauseMs));
  }
  throw new Error(`Cannot take a subnet: another node was faster ${claimAttempts} times`);
}

/**
 * Rewrites a lease that this node holds. Throws an Error when its file is gone or has another node's address, and a
 * SyscallError when it cannot be written. A file whose content is broken is put right.
 */
export function rewriteLease(files: LeaseFiles, lease: Lease, attributes: LeaseAttributes): Lease {
  const path = files.path(lease.key);
  const text = files.find(lease.key);
  if (text === undefined) throw new Error(`Cannot publish lease "${lease.key}": there is no file "${path}"`);
  const holder = holderOf(text);
  const mine = lease.publicIps[4];
  if (holder !== undefined && mine !== undefined && holder !== formatIp(mine)) {
    throw new Error(`Cannot publish lease "${lease.key}": it has become the lease of ${holder}`);
  }
  files.replace(lease.key, leaseText(attributes));
  return leaseOf(lease.key, lease.subnets, attributes);
}

/** The value as it stands in the directory: with an end of line, since people read and write these files too. */
function leaseText(attributes: LeaseAttributes): string {
  return `${encodeLeaseAttributes(attributes)}\n`;
}

function holderOf(text: string): string | undefined {
  try {
    const { publicIps } = decodeLeaseAttributes(text);
    return publicIps[4] === undefined ? undefined : formatIp(publicIps[4]);
  } catch {
    return undefined;
  }
}

function draw(count: number): number {
  return Math.floor(Math.random() * count);
}

function pause(milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, milliseconds);
  return promise;
}

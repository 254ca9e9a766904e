import type { ByFamily, IpAddress } from "../addr/ip.ts";
import type { Cidr } from "../addr/cidr.ts";
import type { Json } from "../base/decode.ts";
import type { NetworkConfig } from "./network-config.ts";

/** What a node tells the others about itself; upstream's LeaseAttrs. */
export interface LeaseAttributes {
  /** Where the node's packets are sent to. */
  readonly publicIps: ByFamily<IpAddress>;
  /** The backend's name, such as `vxlan`; empty for backends that publish none. */
  readonly backendType: string;
  /** What the backend wants known, such as `{"VNI":1,"VtepMAC":"5a:…"}`; only the backend reads it. */
  readonly backendData: ByFamily<Json>;
}

/** The subnet that a node holds, with what it tells about itself. */
export interface Lease extends LeaseAttributes {
  /** The lease's name in every source: `10.244.1.0-24`, or `10.244.1.0-24&fd00:0:0:1::-64` for two families. */
  readonly key: string;
  readonly subnets: ByFamily<Cidr>;
}

/** What a node asks a source for. */
export interface LeaseRequest {
  readonly attributes: LeaseAttributes;
  /** What subnet.env says that this node had before. */
  readonly previous: ByFamily<Cidr>;
}

/** What an administrator has asked for in the source, about this node alone. */
export interface NodeWishes {
  /** The node's address, in place of `--public-ip`. */
  readonly publicIps: ByFamily<IpAddress>;
  /** Where other nodes send to, in place of the node's address: one that NAT translates. */
  readonly overwrites: ByFamily<IpAddress>;
}

/** What is asked for where a source has no place for wishes. */
export const noWishes: NodeWishes = {
  publicIps: { 4: undefined, 6: undefined },
  overwrites: { 4: undefined, 6: undefined },
};

/** Why a source knows nothing when it was just started: no reason to complain yet. */
export const notReadYet = "it was not read yet";

/**
 * What a source knows: nothing until it was read completely once in this process; after that always the last that was
 * read, where `stale` says why a part of it cannot be read now. Where it cannot be read at the start, it may know what an
 * earlier process kept: then `restored` is true, and a lease that is not there may still exist.
 */
export type SourceState =
  | { readonly kind: "unknown"; readonly reason: string }
  | {
      readonly kind: "known";
      readonly config: NetworkConfig;
      readonly leases: ReadonlyMap<string, Lease>;
      readonly wishes: NodeWishes;
      readonly restored: boolean;
      readonly stale: string | undefined;
    };

/**
 * Where the network's configuration and the leases of all nodes are kept. Disposing ends the watch and nothing else:
 * the leases stay.
 */
export interface LeaseSource extends Disposable {
  /** For the log: `directory "/x"`. */
  readonly name: string;
  /** The file that the configuration is read from, for messages. */
  readonly configPath: string;
  /** What is known now. The object is never changed; as long as nothing changes it is the same one. */
  state(): SourceState;
  /** Starts to watch. `changed` is called, never from within a call of the source, after each change of `state()`. */
  start(changed: () => void): void;
  /**
   * Makes a lease this node's own. A source that hands subnets out itself takes, in this order: the one that has the
   * node's public IP, if it fits the configuration; its previous subnet, if free; a free one. A lease with its public IP
   * that does not fit is removed. Where somebody else hands them out, it is the one that this node was given. The lease is
   * part of `state()` when this settles. Rejects with an Error when there is none or the source cannot be written.
   */
  acquire(config: NetworkConfig, request: LeaseRequest): Promise<Lease>;
  /**
   * Publishes changed attributes of a lease that this node holds, such as a new MAC. Rejects with an Error when the
   * lease is gone or has become another node's.
   */
  publish(lease: Lease, attributes: LeaseAttributes): Promise<Lease>;
  /** What this node has published before, perhaps by another program, as `state()` knows it. */
  findPublished(config: NetworkConfig, request: LeaseRequest): LeaseAttributes | undefined;
  /** Whether a lease of `state()` is this node's; undefined where nothing but its public IP tells. */
  isOwn(lease: Lease): boolean | undefined;
  /** Tells that this node's network is up, where the source has a place for it. Does nothing when that is told already. */
  announce(): Promise<void>;
}

import { families, formatIp } from "../../addr/ip.ts";
import { formatLeaseKey } from "../../lease/key.ts";
import type { Lease, LeaseAttributes } from "../../lease/lease.ts";
import { leaseOf } from "../../lease/lease-json.ts";
import type { NetworkConfig } from "../../lease/network-config.ts";
import type { AnnotationName } from "./annotations.ts";
import { ApiError } from "./api.ts";
import { type Annotations, annotationsOf, checkContained, podSubnets } from "./node-lease.ts";
import { networkReason, type NodePatcher, patchAnnotations, patchCondition } from "./node-patch.ts";
import type { NodeTable, OwnNode } from "./node-table.ts";

/** What this node writes into its own object, and the lease that follows from what Kubernetes has written there. */
export class OwnObject {
  readonly #patcher: NodePatcher;
  readonly #prefix: string;
  readonly #table: NodeTable;
  /** The condition was set by this process. */
  #announced = false;

  constructor(patcher: NodePatcher, prefix: string, table: NodeTable) {
    this.#patcher = patcher;
    this.#prefix = prefix;
    this.#table = table;
  }

  /** Makes the node one of flannel's with these attributes. Rejects with an Error, also while it has no pod CIDR. */
  async take(name: string, config: NetworkConfig, attributes: LeaseAttributes): Promise<Lease> {
    const own = this.#find(name);
    const subnets = podSubnets(name, own.record.podCidrs, config);
    checkContained(name, subnets, config);
    await this.#write(own, attributes);
    return leaseOf(formatLeaseKey(subnets), subnets, attributes);
  }

  /** Writes other attributes for a lease that this node holds. Rejects with an Error when it does not. */
  async rewrite(name: string, lease: Lease, attributes: LeaseAttributes): Promise<Lease> {
    const what = `Cannot publish lease "${lease.key}"`;
    const others = this.#table.leases.get(lease.key);
    if (others !== undefined && others !== this.#table.ownLease) {
      const address = families.map((family) => others.publicIps[family]).find((ip) => ip !== undefined);
      throw new Error(`${what}: it has become the lease of ${address === undefined ? "another" : formatIp(address)}`);
    }
    try {
      await this.#write(this.#find(name), attributes);
    } catch (error) {
      throw new Error(what, { cause: error });
    }
    return leaseOf(lease.key, lease.subnets, attributes);
  }

  /** Sets the condition once, and again where somebody says that the network is not there. */
  async announce(): Promise<void> {
    const { own } = this.#table;
    if (own === undefined) return;
    const { condition } = own;
    const isTold = condition?.status === "False" && condition.reason === networkReason;
    if (isTold || (this.#announced && condition?.status === "False")) return;
    this.#put(await patchCondition(this.#patcher, own.record.name));
    this.#announced = true;
  }

  #find(name: string): OwnNode {
    const { own } = this.#table;
    if (own === undefined) throw new Error(`node "${name}" not found`);
    return own;
  }

  /** Only what differs, as upstream's two-way merge patch. */
  async #write({ record }: OwnNode, attributes: LeaseAttributes): Promise<void> {
    const differing = new Map<AnnotationName, string>();
    for (const [key, value] of annotationsOf(attributes)) {
      if (record.annotations.get(key) !== value) differing.set(key, value);
    }
    if (differing.size > 0) await this.#annotate(record.name, differing);
  }

  async #annotate(name: string, annotations: Annotations): Promise<void> {
    try {
      this.#put(await patchAnnotations(this.#patcher, name, { prefix: this.#prefix, annotations }));
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 404) throw error;
      throw new Error(`node "${name}" not found`, { cause: error });
    }
  }

  #put({ record, condition }: OwnNode): void {
    this.#table.put(record, condition);
  }
}

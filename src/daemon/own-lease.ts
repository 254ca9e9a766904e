import { cidrsOverlap, formatCidr } from "../addr/cidr.ts";
import { type ByFamily, families, formatIp, ipEquals, type IpAddress } from "../addr/ip.ts";
import { localMac, type MacAddress } from "../addr/mac.ts";
import type { Cidr } from "../addr/cidr.ts";
import { BackOff, drawWait } from "../base/back-off.ts";
import { errorText } from "../base/error.ts";
import { encodeVxlanData, findVtepMac } from "../backend/vxlan-data.ts";
import { vxlanType } from "../backend/wanted.ts";
import type { Lease, LeaseAttributes, LeaseSource, SourceState } from "../lease/lease.ts";
import { sameAttributes } from "../lease/lease-json.ts";
import type { Log } from "../sys/log.ts";
import { FatalError, mustEnd } from "./fatal.ts";
import type { Settings } from "./settings.ts";

/** What is asked of the lease on each look. */
export interface LeaseDemand {
  readonly settings: Settings;
  readonly publicIps: ByFamily<IpAddress>;
}

/** Where the node's subnet and hardware address were kept before this process. */
export interface NodeMemory {
  /** What subnet.env says. Throws a SyscallError when it cannot be read. */
  previousSubnets(): ByFamily<Cidr>;
  /** The hardware address of the device that is there, if any. */
  findDeviceMac(vni: number): MacAddress | undefined;
}

type KnownState = Extract<SourceState, { readonly kind: "known" }>;

/** This node's lease: taken once, kept as it is to be, taken again when somebody removed it. */
export class OwnLease {
  readonly #source: LeaseSource;
  readonly #memory: NodeMemory;
  readonly #log: Log;
  readonly #corrections = new BackOff(drawWait);
  readonly #failures = new BackOff(drawWait);
  #lease: Lease | undefined;
  #mac: MacAddress | undefined;

  constructor(source: LeaseSource, memory: NodeMemory, log: Log) {
    this.#source = source;
    this.#memory = memory;
    this.#log = log;
  }

  /** When an attempt to publish is due again, in the clock of `ensure`'s `now`. */
  nextAt(): number | undefined {
    const times = [this.#corrections.nextAt(), this.#failures.nextAt()].filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Why the lease that is held is not published as it is to be; undefined when it is. */
  get problem(): string | undefined {
    return this.#lease === undefined ? undefined : this.#failures.failureOf(this.#lease.key);
  }

  /**
   * The lease, with what is published as demanded. Rejects with a FatalError when another node holds the subnet, and with
   * an Error when none can be taken. A lease that is held stays, also while nothing can be written: see `problem`.
   */
  async ensure(state: KnownState, demand: LeaseDemand, now: number): Promise<Lease> {
    const lease = this.#lease;
    if (lease === undefined) return this.#acquire(demand);
    // What cannot be read does not tell that a lease is gone.
    if (state.stale !== undefined) return lease;
    if (!this.#failures.isDue(lease.key, now)) return lease;
    const published = state.leases.get(lease.key);
    try {
      const kept =
        published === undefined
          ? await this.#acquireAgain(state, lease, demand)
          : await this.#correct(published, lease, { demand, now });
      this.#failures.forget(lease.key);
      return kept;
    } catch (error) {
      if (mustEnd(error)) throw error;
      const text = errorText(error);
      if (this.#failures.fail(lease.key, text, now)) this.#log.error(text);
      return lease;
    }
  }

  /** The hardware address of this node's device: chosen once, since peers know it. */
  get mac(): MacAddress | undefined {
    return this.#mac;
  }

  async #acquire(demand: LeaseDemand): Promise<Lease> {
    const previous = this.#memory.previousSubnets();
    const mac = this.#mac ?? this.#chooseMac(demand, previous);
    const attributes = attributesOf(demand, mac);
    const lease = await this.#source.acquire(demand.settings.config, { attributes, previous });
    this.#mac = mac;
    this.#lease = lease;
    this.#log.info(`lease ${leaseText(lease)} taken from ${this.#source.name}: ${attributesText(lease, mac)}`);
    return lease;
  }

  /** What the lease says goes first, because peers know it; then the device's, which a peer may still know. */
  #chooseMac(demand: LeaseDemand, previous: ByFamily<Cidr>): MacAddress {
    const { config, options } = demand.settings;
    const attributes: LeaseAttributes = {
      publicIps: demand.publicIps,
      backendType: vxlanType,
      backendData: { 4: undefined, 6: undefined },
    };
    const own = this.#source.findPublished(config, { attributes, previous });
    const published = own?.backendType === vxlanType ? findVtepMac(own.backendData[4]) : undefined;
    return published ?? this.#memory.findDeviceMac(options.vni) ?? randomMac();
  }

  async #acquireAgain(state: KnownState, lease: Lease, demand: LeaseDemand): Promise<Lease> {
    const others = [...state.leases.values()].filter((other) => this.#source.isOwn(other) !== true);
    const holder = others.find((other) => overlaps(other, lease));
    if (holder !== undefined)
      throw takenBy(lease, `lease ${leaseText(holder)} of ${publicIpText(holder)} has its place`);
    this.#log.warn(`lease ${leaseText(lease)} of this node was removed: taking it again`);
    const mac = this.#mac ?? randomMac();
    const request = { attributes: attributesOf(demand, mac), previous: lease.subnets };
    const again = await this.#source.acquire(demand.settings.config, request);
    if (again.key !== lease.key) throw takenBy(lease, `${this.#source.name} gives ${leaseText(again)} instead`);
    this.#log.info(`lease ${leaseText(again)} taken again`);
    this.#lease = again;
    return again;
  }

  /** Publishes what this node demands where the source says otherwise, be it that the demand or the source has changed. */
  async #correct(
    published: Lease,
    lease: Lease,
    { demand, now }: { readonly demand: LeaseDemand; readonly now: number },
  ): Promise<Lease> {
    const mac = this.#mac ?? randomMac();
    const attributes = attributesOf(demand, mac);
    const due = this.#corrections.isDue(lease.key, now);
    if (sameAttributes(published, attributes)) {
      if (due) this.#corrections.forget(lease.key);
      return published;
    }
    const byAddress = samePublicIp(published, lease) || samePublicIp(published, attributes);
    if (!(this.#source.isOwn(published) ?? byAddress)) {
      throw takenBy(lease, `it is now the lease of ${publicIpText(published)}`);
    }
    // Two nodes with one public IP would otherwise correct each other without end.
    if (!due) return published;
    const foreign = !sameAttributes(published, lease);
    if (foreign) {
      this.#log.warn(`lease ${leaseText(lease)} of this node was changed by somebody else: putting it right`);
      this.#corrections.fail(lease.key, "", now);
    }
    const corrected = await this.#source.publish(published, attributes);
    this.#log.info(`lease ${leaseText(corrected)} published: ${attributesText(corrected, mac)}`);
    this.#lease = corrected;
    return corrected;
  }
}

function attributesOf({ settings, publicIps }: LeaseDemand, mac: MacAddress): LeaseAttributes {
  const { vni } = settings.options;
  return {
    publicIps,
    backendType: vxlanType,
    backendData: {
      4: publicIps[4] === undefined ? undefined : encodeVxlanData({ vni, mac }),
      6: publicIps[6] === undefined ? undefined : encodeVxlanData({ vni, mac }),
    },
  };
}

/** Locally administered, unicast, and of no vendor. */
function randomMac(): MacAddress {
  return localMac(crypto.getRandomValues(new Uint8Array(6)));
}

function takenBy(lease: Lease, state: string): FatalError {
  return new FatalError(
    `Cannot keep the subnet ${leaseText(lease)}: ${state}; pods of this node have addresses of it, restart flanneld to take another`,
  );
}

function overlaps(left: Lease, right: Lease): boolean {
  return families.some((family) => {
    const [one, other] = [left.subnets[family], right.subnets[family]];
    return one !== undefined && other !== undefined && cidrsOverlap(one, other);
  });
}

function samePublicIp(left: LeaseAttributes, right: LeaseAttributes): boolean {
  return families.every((family) => {
    const [one, other] = [left.publicIps[family], right.publicIps[family]];
    return one === undefined || other === undefined ? one === other : ipEquals(one, other);
  });
}

function leaseText(lease: Lease): string {
  return textsOf(lease.subnets, formatCidr);
}

function publicIpText(lease: LeaseAttributes): string {
  return textsOf(lease.publicIps, formatIp);
}

function attributesText(lease: Lease, mac: MacAddress): string {
  return `public IP ${publicIpText(lease)}, VTEP MAC ${mac}`;
}

function textsOf<T>(values: ByFamily<T>, format: (value: T) => string): string {
  return families
    .map((family) => values[family])
    .filter((value) => value !== undefined)
    .map(format)
    .join(" and ");
}

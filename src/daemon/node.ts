import type { ByFamily, IpAddress } from "../addr/ip.ts";
import { formatIp, ipEquals } from "../addr/ip.ts";
import type { ExternalInterface, Overlay } from "../backend/overlay.ts";
import { type Outcome, Reconciler } from "../backend/reconcile.ts";
import type { Sight } from "../backend/relevance.ts";
import { planVxlan, type VxlanPlan } from "../backend/wanted.ts";
import { BackOff, drawWait } from "../base/back-off.ts";
import { errorText } from "../base/error.ts";
import { type Lease, type LeaseSource, notReadYet, type SourceState } from "../lease/lease.ts";
import { formatSubnetFile, type SubnetFile, writeSubnetFile } from "../lease/subnet-file.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { SyscallError } from "../sys/errno.ts";
import { findText } from "../sys/file.ts";
import type { Log } from "../sys/log.ts";
import { mustEnd } from "./fatal.ts";
import type { DaemonOptions } from "./flags.ts";
import { kernelHost, nodeMemory } from "./host.ts";
import { chooseInterface, findUnchanged } from "./interface.ts";
import { OwnLease } from "./own-lease.ts";
import { describeFailures, describeOutcome, describePeers, describeSkipped, type LogLine } from "./report.ts";
import { type Settings, SettingsFollower } from "./settings.ts";
import type { Traffic } from "./traffic.ts";
import { firewallSettings } from "./traffic-report.ts";

/** What a node is made of. */
export interface NodeParts {
  readonly options: DaemonOptions;
  readonly source: LeaseSource;
  readonly socket: NetlinkSocket;
  readonly traffic: Traffic;
  readonly log: Log;
}

type KnownState = Extract<SourceState, { readonly kind: "known" }>;

/** What the wanted state follows from; as long as each is the same one, so is the plan. */
interface PlanInput {
  readonly leases: KnownState["leases"];
  readonly key: string;
  readonly settings: Settings;
  readonly external: ExternalInterface;
}

/**
 * This node in the network. Each `look` takes everything as it is now (source, configuration, interface, lease, kernel)
 * and makes the kernel and subnet.env what they are to be; what happened before says nothing. Until the source was read
 * completely once, nothing is changed.
 */
export class Node {
  readonly #parts: NodeParts;
  readonly #ownLease: OwnLease;
  readonly #settings: SettingsFollower;
  readonly #reconciler: Reconciler;
  /** Why the last look came to nothing, so that the same is told once. */
  readonly #trouble = new BackOff(drawWait);
  #missing: readonly string[] = ["the first look is not done yet"];
  #sight: Sight | undefined;
  #seenState: SourceState | undefined;
  #external: ExternalInterface | undefined;
  /** The public IP by which it was chosen. */
  #askedIp: IpAddress | undefined;
  #stale: string | undefined;
  #planned: { readonly input: PlanInput; readonly plan: VxlanPlan } | undefined;
  /** The last wanted state that the log knows. */
  #told: VxlanPlan | undefined;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.#ownLease = new OwnLease(parts.source, nodeMemory(parts.socket, parts.options.subnetFile), parts.log);
    this.#settings = new SettingsFollower(parts.source.configPath, parts.log);
    this.#reconciler = new Reconciler(parts.socket);
  }

  /** What the last look left to be done, one line each; none when every peer is programmed. */
  get missing(): readonly string[] {
    return this.#missing;
  }

  /** The state of the source that the last look went by; undefined when it got nowhere. */
  get seenState(): SourceState | undefined {
    return this.#seenState;
  }

  /** What the last look found, undefined when it got nowhere. */
  get sight(): Sight | undefined {
    return this.#sight;
  }

  /** Looks at everything. Returns after how many milliseconds to look again. Rejects only with what must end the daemon. */
  async look(): Promise<number | undefined> {
    const now = performance.now();
    try {
      this.#missing = await this.#lookOnce(now);
      this.#trouble.forget(troubleKey);
    } catch (error) {
      if (mustEnd(error)) throw error;
      const text = errorText(error);
      this.#missing = [text];
      this.#sight = undefined;
      if (this.#trouble.fail(troubleKey, text, now)) this.#parts.log.error(text);
    }
    const { traffic } = this.#parts;
    const times = [this.#trouble.nextAt(), this.#reconciler.nextAt(), this.#ownLease.nextAt(), traffic.nextAt()];
    const waits = times.flatMap((time) => (time !== undefined && time > now ? [time - now] : []));
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  async #lookOnce(now: number): Promise<readonly string[]> {
    const { source } = this.#parts;
    this.#seenState = undefined;
    const before = source.state();
    if (before.kind === "unknown" && before.reason === notReadYet) return [`${source.name} was not read yet`];
    if (before.kind === "unknown") {
      throw new Error(`Cannot set up the network yet: ${source.name} is not known: ${before.reason}`);
    }
    this.#tellStale(before);
    const settings = this.#settings.follow(before.config);
    const wanted = before.wishes.publicIps[4] ?? this.#parts.options.publicIp;
    const external = this.#findExternal(wanted);
    const publicIps: ByFamily<IpAddress> = {
      4: before.wishes.overwrites[4] ?? wanted ?? external.addresses[4],
      6: undefined,
    };
    const lease = await this.#ownLease.ensure(before, { settings, publicIps }, now);
    const after = source.state();
    this.#seenState = after;
    const { leases } = after.kind === "known" ? after : before;
    const plan = this.#plan({ leases, key: lease.key, settings, external }, lease, publicIps);
    const overlay = plan.overlays[4];
    if (overlay === undefined) throw new Error(`Cannot use lease ${lease.key}: it has no IPv4 subnet`);
    // What an earlier process kept says which peers there were, not which there are.
    const keep = after.kind !== "known" || after.restored;
    const outcome = this.#reconciler.reconcile(overlay, now, { keep });
    this.#sight = { overlay, external, deviceIndex: outcome.deviceIndex };
    this.#tell(plan, overlay, outcome);
    const { problem } = this.#ownLease;
    const failures = [...(problem === undefined ? [] : [problem]), ...describeFailures(outcome.failed)];
    if (!outcome.deviceReady) return failures;
    const { traffic: options } = this.#parts.options;
    const ranges = { networks: settings.networks, subnets: lease.subnets };
    // Before subnet.env, which tells the plugin who masquerades.
    const unguarded = this.#parts.traffic.follow(firewallSettings(options, settings.masquerade, ranges));
    if (unguarded.length > 0) return [...failures, ...unguarded];
    const file = { ...ranges, mtu: overlay.device.mtu, ipMasq: options.masquerade };
    const unwritten = this.#writeSubnetFile(file, now);
    if (unwritten.length === 0) await this.#announce(now);
    return [...failures, ...unwritten];
  }

  /** The node's pods can be started: said where others look for that. What is missing of it holds nothing up. */
  async #announce(now: number): Promise<void> {
    if (!this.#trouble.isDue(announceKey, now)) return;
    try {
      await this.#parts.source.announce();
      this.#trouble.forget(announceKey);
    } catch (error) {
      if (mustEnd(error)) throw error;
      const text = errorText(error);
      if (this.#trouble.fail(announceKey, text, now)) this.#parts.log.warn(text);
    }
  }

  /** The interface, chosen anew where its address is gone or another public IP is asked for. */
  #findExternal(publicIp: IpAddress | undefined): ExternalInterface {
    const { options, socket, log } = this.#parts;
    const host = kernelHost(socket);
    const before = this.#external;
    const kept = before !== undefined && sameIp(this.#askedIp, publicIp) ? findUnchanged(before, host) : undefined;
    const external = kept ?? chooseInterface({ ...options, publicIp }, host);
    this.#external = external;
    this.#askedIp = publicIp;
    if (external !== before) {
      const address = external.addresses[4] === undefined ? "none" : formatIp(external.addresses[4]);
      log.info(`external interface ${external.name} (#${external.index}): address ${address}, MTU ${external.mtu}`);
    }
    return external;
  }

  #plan(input: PlanInput, lease: Lease, publicIps: ByFamily<IpAddress>): VxlanPlan {
    const before = this.#planned;
    if (before !== undefined && samePlanInput(before.input, input)) return before.plan;
    const { settings, external } = input;
    const outer = settings.options.mtu;
    if (outer > external.mtu && (before?.input.settings !== settings || before.input.external !== external)) {
      this.#parts.log.warn(
        `MTU ${outer} of the configuration is more than ${external.mtu} of ${external.name}: not used`,
      );
    }
    const plan = planVxlan({
      networks: settings.networks,
      subnets: lease.subnets,
      macs: { 4: this.#ownLease.mac, 6: this.#ownLease.mac },
      publicIps,
      external,
      options: settings.options,
      leases: [...input.leases.values()].filter(({ key }) => key !== lease.key),
    });
    this.#planned = { input, plan };
    return plan;
  }

  #tell(plan: VxlanPlan, overlay: Overlay, outcome: Outcome): void {
    const told = this.#told;
    const before = told?.overlays[4];
    if (told !== plan) {
      this.#write(describeSkipped(told?.skipped ?? [], plan.skipped));
      this.#write(describePeers(before, overlay));
    }
    this.#write(describeOutcome(before, overlay, outcome));
    this.#told = plan;
  }

  #write(lines: readonly LogLine[]): void {
    for (const { level, text } of lines) this.#parts.log[level](text);
  }

  #tellStale({ stale }: KnownState): void {
    if (stale === this.#stale) return;
    this.#stale = stale;
    const { source, log } = this.#parts;
    if (stale === undefined) log.info(`${source.name} can be read again`);
    else log.warn(`${source.name} cannot be read, what was last read stays in force: ${stale}`);
  }

  /** Returns what is missing when it cannot be written. */
  #writeSubnetFile(file: SubnetFile, now: number): readonly string[] {
    const path = this.#parts.options.subnetFile;
    const text = formatSubnetFile(file);
    try {
      if (findText(path) !== text) {
        writeSubnetFile(path, file);
        this.#parts.log.info(`subnet file "${path}" written: ${text.trimEnd().replaceAll("\n", " ")}`);
      }
      this.#trouble.forget(path);
      return [];
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      const reason = errorText(error);
      if (this.#trouble.fail(path, reason, now)) this.#parts.log.error(`Cannot write the subnet file: ${reason}`);
      return [reason];
    }
  }
}

const troubleKey = "look";
const announceKey = "announce";

function sameIp(left: IpAddress | undefined, right: IpAddress | undefined): boolean {
  return left === undefined || right === undefined ? left === right : ipEquals(left, right);
}

function samePlanInput(left: PlanInput, right: PlanInput): boolean {
  return (
    left.leases === right.leases &&
    left.key === right.key &&
    left.settings === right.settings &&
    left.external === right.external
  );
}

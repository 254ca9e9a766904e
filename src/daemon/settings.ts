import { cidrEquals, formatCidr } from "../addr/cidr.ts";
import { type ByFamily, families } from "../addr/ip.ts";
import type { Cidr } from "../addr/cidr.ts";
import { errorText } from "../base/error.ts";
import { decodeVxlanOptions, kernelVxlanPort, type VxlanOptions } from "../backend/vxlan-config.ts";
import { vxlanType } from "../backend/wanted.ts";
import type { MasqueradeConfig } from "../lease/masquerade-config.ts";
import type { NetworkConfig } from "../lease/network-config.ts";
import type { Log } from "../sys/log.ts";

/** The network's configuration as this process follows it. */
export interface Settings {
  /** The one that leases are taken by: the first that was good. */
  readonly config: NetworkConfig;
  readonly networks: ByFamily<Cidr>;
  /** With the port as a number, also where the configuration leaves it to the kernel. */
  readonly options: VxlanOptions;
  readonly masquerade: MasqueradeConfig;
}

/**
 * Follows the configuration as it changes. What the lease hangs on (network, backend, VNI) stays as it was at the start,
 * since the pods have addresses of it; a restart takes the new one.
 */
export class SettingsFollower {
  readonly #path: string;
  readonly #log: Log;
  #seen: NetworkConfig | undefined;
  #settings: Settings | undefined;

  /** `path` is the configuration's file, for messages. */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** The settings in force. Throws an Error when no configuration was good yet. */
  follow(config: NetworkConfig): Settings {
    const before = this.#settings;
    if (before !== undefined && this.#seen === config) return before;
    const next = before === undefined ? this.#read(config) : this.#change(before, config);
    this.#seen = config;
    this.#settings = next;
    return next;
  }

  #read(config: NetworkConfig): Settings {
    try {
      return readSettings(config);
    } catch (error) {
      throw new Error(`Cannot use the flannel config "${this.#path}"`, { cause: error });
    }
  }

  #change(before: Settings, config: NetworkConfig): Settings {
    let next: Settings;
    try {
      next = this.#read(config);
    } catch (error) {
      this.#log.error(`${errorText(error)}; the last good configuration stays in force`);
      return before;
    }
    const { options } = before;
    for (const difference of lastingDifferences(before, next)) {
      this.#log.warn(
        `the configuration now has ${difference}: restart flanneld to take it, the old one stays in force`,
      );
    }
    const changed = [
      ...optionTexts(options, { ...next.options, vni: options.vni }),
      ...masqueradeTexts(before.masquerade, next.masquerade),
    ];
    if (changed.length > 0) this.#log.info(`the configuration has changed: ${changed.join(", ")}`);
    return { ...before, options: { ...next.options, vni: options.vni }, masquerade: next.masquerade };
  }
}

/** Throws an Error for another backend, and a DecodeError for an option that is wrong. */
export function readSettings(config: NetworkConfig): Settings {
  const { type, json } = config.backend;
  if (type !== vxlanType) {
    throw new Error(`Cannot use backend "${type}": it is not supported yet, only "${vxlanType}" is`);
  }
  const options = decodeVxlanOptions(json);
  return {
    config,
    networks: config.networks,
    options: { ...options, port: options.port === 0 ? kernelVxlanPort() : options.port },
    masquerade: config.masquerade,
  };
}

function lastingDifferences(before: Settings, next: Settings): readonly string[] {
  const differences = families.flatMap((family) => {
    const [old, wanted] = [before.networks[family], next.networks[family]];
    if (wanted === undefined || (old !== undefined && cidrEquals(old, wanted))) return [];
    return [`network ${formatCidr(wanted)} instead of ${old === undefined ? "none" : formatCidr(old)}`];
  });
  const { vni } = next.options;
  return vni === before.options.vni ? differences : [...differences, `VNI ${vni} instead of ${before.options.vni}`];
}

function optionTexts(before: VxlanOptions, next: VxlanOptions): readonly string[] {
  const pairs = [
    ["Port", before.port, next.port],
    ["MTU", before.mtu, next.mtu],
    ["GBP", before.gbp, next.gbp],
    ["Learning", before.learning, next.learning],
  ] as const;
  return pairs.flatMap(([name, old, wanted]) => (old === wanted ? [] : [`${name} ${wanted} instead of ${old}`]));
}

function masqueradeTexts(before: MasqueradeConfig, next: MasqueradeConfig): readonly string[] {
  return families.flatMap((family) => {
    const [enabled, cidrs] = [next.enabled[family], next.except[family].map(formatCidr).join(" ")];
    return [
      ...(enabled === before.enabled[family] ? [] : [`masqueradeIPv${family} ${String(enabled)}`]),
      ...(cidrs === before.except[family].map(formatCidr).join(" ")
        ? []
        : [`nonMasqueradeCIDRs of IPv${family}: ${cidrs === "" ? "none" : cidrs}`]),
    ];
  });
}

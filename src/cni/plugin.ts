import type { Cidr } from "../addr/cidr.ts";
import type { IpAddress } from "../addr/ip.ts";
import type { CniArgs } from "./args.ts";
import type { PluginConfig } from "./config.ts";
import type { Environment } from "./environment.ts";
import type { CniResult } from "./result.ts";

/** What every call has, whatever it asks for. */
interface CniCall {
  /** Directories of the plugins. */
  readonly path: readonly string[];
  /** The environment that executed delegates get. */
  readonly environment: Environment;
  readonly config: PluginConfig;
  /** Plugins that can be called in this process. */
  readonly builtIn: ReadonlyMap<string, CniPlugin>;
  /** Tells people what is no failure, on one line of stderr. */
  readonly warn: (text: string) => void;
}

/** What a plugin is asked to do with one attachment, already checked. */
export interface CniRequest extends CniCall {
  readonly command: "ADD" | "DEL" | "CHECK";
  readonly containerId: string;
  /** Path of the container's network namespace; "" on DEL when the runtime no longer knows it. */
  readonly netns: string;
  readonly interfaceName: string;
  readonly args: CniArgs;
}

/** What a plugin is asked about a network as a whole. */
export interface CniNetworkRequest extends CniCall {
  readonly command: "GC" | "STATUS";
}

/** What GC is to keep. */
export interface CniGcRequest extends CniNetworkRequest {
  /** The attachments of this network that still exist. */
  readonly valid: ValidAttachments;
}

/** An attachment in the runtime's list of its network's. */
export interface ListedAttachment {
  readonly containerId: string;
  readonly interfaceName: string;
}

/** The attachments that a runtime still knows. */
export interface ValidAttachments {
  readonly list: readonly ListedAttachment[];
  has(containerId: string, interfaceName: string): boolean;
  hasContainer(containerId: string): boolean;
}

/** What a runtime asks seldom. */
export interface CniUpkeep {
  /** Compares what there is with the previous result. Throws what is missing or wrong. */
  check(request: CniRequest): void;
  /** Frees what the network has beyond the attachments that are valid. Tries all of it, and throws what is left. */
  gc(request: CniGcRequest): void;
  /** Throws a CniError, code 50, when no ADD can succeed until somebody acts. */
  status(request: CniNetworkRequest): void;
  /** Of an IPAM plugin: for each address that ADD would give, the gateways of which one comes with it. */
  gateways?(request: CniNetworkRequest): readonly (readonly Cidr[])[];
  /** Of an IPAM plugin: the addresses that GC would free. */
  stale?(request: CniGcRequest): readonly StaleAddress[];
}

/** An address of an attachment that the runtime no longer knows. */
export interface StaleAddress {
  readonly containerId: string;
  /** Undefined where only the container is known. */
  readonly interfaceName: string | undefined;
  readonly address: IpAddress;
}

/** A plugin: functions from request to result, which neither read nor print anything of their own process. */
export interface CniPlugin extends CniUpkeep {
  readonly name: string;
  /** One line for people, printed when the program is called without a command. */
  readonly about: string;
  /** Throws a CniError for a configuration that ADD would refuse; for a plugin that another one calls last, after work. */
  checkConfig?(config: PluginConfig): unknown;
  /** Makes the attachment. Throws and leaves nothing behind. */
  add(request: CniRequest): CniResult;
  /** Removes the attachment, whatever is missing of it. Throws when something is left. */
  del(request: CniRequest): void;
}

/** A plugin of what every pod needs and, loaded when it is asked for, what it does seldom. */
export function withUpkeep(plugin: Omit<CniPlugin, keyof CniUpkeep>, upkeep: () => CniUpkeep): CniPlugin {
  return {
    ...plugin,
    check: (request) => upkeep().check(request),
    gc: (request) => upkeep().gc(request),
    status: (request) => upkeep().status(request),
    gateways: (request) => upkeep().gateways?.(request) ?? [],
    stale: (request) => upkeep().stale?.(request) ?? [],
  };
}

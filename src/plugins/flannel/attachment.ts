/** What every verb asks of a call and its configuration. */
import type { JsonObject } from "../../base/decode.ts";
import type { CniGcRequest, CniPlugin, CniRequest } from "../../cni/plugin.ts";
import type { FlannelConfig } from "./config.ts";
import { buildDelegateConfig, delegateType, ipamType } from "./delegate-config.ts";
import type { StateKey } from "./state.ts";
import { findSubnetEnv } from "./subnet-env-file.ts";

/** Where the attachment's configuration is kept. */
export function stateKey(request: CniRequest, config: FlannelConfig): StateKey {
  const { containerId, interfaceName } = request;
  return { directory: config.dataDir, network: config.name, containerId, interfaceName };
}

/** Without subnet.env the ranges are unknown, without which only our own plugins can delete. */
export function findRebuilt(request: CniRequest | CniGcRequest, config: FlannelConfig): JsonObject | undefined {
  const env = findSubnetEnv(config.subnetFile);
  const ours = request.builtIn.has(delegateType(config)) && request.builtIn.has(ipamType(config));
  return env === undefined && !ours ? undefined : buildDelegateConfig(config, env);
}

/** The plugin that maps ports; flannel does it with its own entry's configuration, when that has the capability. */
export function portsPlugin({ builtIn }: CniRequest | CniGcRequest): CniPlugin {
  const plugin = builtIn.get("portmap");
  if (plugin === undefined) throw new Error("Cannot map ports: portmap is not built in");
  return plugin;
}

/** True when the runtime hands over mappings, be it none. */
export function hasPorts({ config }: CniRequest): boolean {
  return !config.decoder.field("runtimeConfig").field("portMappings").absent;
}

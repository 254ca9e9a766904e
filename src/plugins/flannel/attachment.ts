/** What every verb asks of a call and its configuration. */
import { Decoder, type JsonObject } from "../../base/decode.ts";
import { runAll } from "../../base/run-all.ts";
import { isExecuted } from "../../cni/delegate.ts";
import type { CniGcRequest, CniNetworkRequest, CniPlugin, CniRequest } from "../../cni/plugin.ts";
import type { FlannelConfig } from "./config.ts";
import { buildDelegateConfig } from "./delegate-config.ts";
import type { State, StateKey } from "./state.ts";
import { findSubnetEnv } from "./subnet-env-file.ts";

/** Where the attachment's configuration is kept. */
export function stateKey(request: CniRequest, config: FlannelConfig): StateKey {
  const { containerId, interfaceName } = request;
  return { directory: config.dataDir, network: config.name, containerId, interfaceName };
}

/** The configuration that ADD kept. Upstream's knows no `inProcess`, so that the present one's counts there. */
export function keptConfig({ interfaceName, json }: State, { inProcess }: FlannelConfig): JsonObject {
  return interfaceName === undefined && !inProcess ? { ...json, inProcess: false } : json;
}

/** Deletes the attachment's host ports and what the delegate has made. Tries both, and throws what failed. */
export function deleteAttachment(request: CniRequest, byDelegate: () => void): void {
  runAll([(): void => portsPlugin(request).del(request), byDelegate]);
}

/** Without subnet.env the ranges are unknown, without which only our own plugins can delete. */
export function findRebuilt(request: CniRequest | CniGcRequest, config: FlannelConfig): JsonObject | undefined {
  const env = findSubnetEnv(config.subnetFile);
  const json = buildDelegateConfig(config, env);
  return env === undefined && !isOurs(request, json) ? undefined : json;
}

/** True when no program is executed for this configuration: the delegate and the plugin of its addresses are built in. */
export function isOurs({ builtIn }: CniRequest | CniGcRequest, json: JsonObject): boolean {
  if (isExecuted(json)) return false;
  const delegate = new Decoder(json);
  const ipamType = delegate.field("ipam").field("type").string() ?? "";
  return builtIn.has(delegate.field("type").string() ?? "") && (ipamType === "" || builtIn.has(ipamType));
}

/** The plugin that maps ports; flannel does it with its own entry's configuration, when that has the capability. */
export function portsPlugin({ builtIn }: CniRequest | CniNetworkRequest): CniPlugin {
  const plugin = builtIn.get("portmap");
  if (plugin === undefined) throw new Error("Cannot map ports: portmap is not built in");
  return plugin;
}

/** True when the runtime hands over mappings, be it none. */
export function hasPorts({ config }: CniRequest): boolean {
  return !config.decoder.field("runtimeConfig").field("portMappings").absent;
}

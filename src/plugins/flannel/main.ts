import { Decoder, type JsonObject } from "../../base/decode.ts";
import { runAll } from "../../base/run-all.ts";
import { Undo } from "../../base/undo.ts";
import { decodeConfig, withPrevResult } from "../../cni/config.ts";
import { delegateAdd, delegateDel, hasPlugin } from "../../cni/delegate.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import { type CniPlugin, type CniRequest, type CniUpkeep, withUpkeep } from "../../cni/plugin.ts";
import type { CniResult } from "../../cni/result.ts";
import { deleteAttachment, findRebuilt, hasPorts, keptConfig, portsPlugin, stateKey } from "./attachment.ts";
import { decodeFlannelConfig, decodeForDelete, type FlannelConfig } from "./config.ts";
import { buildDelegateConfig, delegateType } from "./delegate-config.ts";
import { isCertain, listStates, removeState, saveState, type State } from "./state.ts";
import { awaitSubnetEnv } from "./subnet-env-file.ts";

/** The flannel plugin: tells another plugin, bridge unless it is said otherwise, what the daemon found out. */
export function createFlannel(upkeep: () => CniUpkeep): CniPlugin {
  return withUpkeep({ name: "flannel", about: "CNI flannel plugin of tartan", add, del }, upkeep);
}

function add(request: CniRequest): CniResult {
  const config = decodeFlannelConfig(request.config);
  const json = buildDelegateConfig(config, awaitSubnetEnv(config.subnetFile, request.netns));
  checkPorts(request);
  using undo = new Undo();
  undo.defer(saveState(stateKey(request, config), json));
  const result = addByDelegate(request, config, json);
  if (hasPorts(request)) {
    undo.defer(() => delegateDel(request, delegateType(config), json));
    addPorts(request, result);
  }
  undo.keep();
  return result;
}

function addByDelegate(request: CniRequest, config: FlannelConfig, json: JsonObject): CniResult {
  try {
    return delegateAdd(request, delegateType(config), json);
  } catch (error) {
    throw error instanceof CniError ? error : new Error("failed to delegate add", { cause: error });
  }
}

/**
 * Deletes with the configuration that ADD used, whatever the present one has become, the network's name included, and
 * forgets it only when that has succeeded. It may be gone, or be another attachment's: then the present one serves.
 */
function del(request: CniRequest): void {
  const config = decodeForDelete(request.config);
  const key = stateKey(request, config);
  const states = listStates(key);
  const deletions = states.map((state) => (): void => {
    deleteAttachment(ofNetwork(request, state), () => delegateDel(request, state.type, keptConfig(state, config)));
  });
  if (!states.some((state) => isCertain(state, key))) {
    deletions.push(
      () => deleteAttachment(request, () => deleteUnrecorded(request, config)),
      // Where the states are cannot be told: then it must not be said that none is left.
      () => request.config.decoder.field("dataDir").string(),
    );
  }
  runAll(deletions);
  removeState(key);
}

/** Host ports are found by the name that the network had then. */
function ofNetwork(request: CniRequest, { network, json }: State): CniRequest {
  return network === request.config.name ? request : { ...request, config: decodeConfig(new Decoder(json)) };
}

/** What is wrong is said before there is a pod to take back. */
function checkPorts(request: CniRequest): void {
  if (hasPorts(request)) portsPlugin(request).checkConfig?.(request.config);
}

function addPorts(request: CniRequest, result: CniResult): void {
  portsPlugin(request).add({ ...request, config: withPrevResult(request.config, result) });
}

/**
 * Deletes what the present configuration would have made. An error that shows that it cannot have made anything, a plugin
 * that is not there or a configuration that none would take, is none: otherwise DEL after a failed ADD never succeeded.
 */
function deleteUnrecorded(request: CniRequest, config: FlannelConfig): void {
  try {
    const json = findRebuilt(request, config);
    if (json !== undefined) delegateDel(request, delegateType(config), withoutMissingIpam(request, json));
  } catch (error) {
    const harmless: readonly number[] = [cniCode.unsupportedField, cniCode.invalidConfig];
    if (error instanceof CniError && !harmless.includes(error.code)) throw error;
  }
}

/** An IPAM plugin that is not there has given out no address. Whether a delegate of somebody else's needs it, it knows itself. */
function withoutMissingIpam(request: CniRequest, json: JsonObject): JsonObject {
  const delegate = new Decoder(json);
  const type = delegate.field("ipam").field("type").string() ?? "";
  const isNeeded = !request.builtIn.has(delegate.field("type").string() ?? "") || hasPlugin(request, type);
  return isNeeded ? json : { ...json, ipam: {} };
}

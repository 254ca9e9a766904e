import type { Json, JsonObject } from "../../base/decode.ts";
import { errorText } from "../../base/error.ts";
import { runAll } from "../../base/run-all.ts";
import { Undo } from "../../base/undo.ts";
import { validAttachmentKeys } from "../../cni/attachments.ts";
import { delegateAdd, delegateCheck, delegateDel, delegateGc, delegateStatus } from "../../cni/delegate.ts";
import { withPrevResult } from "../../cni/config.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import type { CniGcRequest, CniNetworkRequest, CniPlugin, CniRequest, ValidAttachments } from "../../cni/plugin.ts";
import type { CniResult } from "../../cni/result.ts";
import { notAvailableUnless } from "../../cni/status.ts";
import { awaitFile } from "../../sys/await-file.ts";
import { errno, failedWith } from "../../sys/errno.ts";
import { findFile, readText, removeFile } from "../../sys/file.ts";
import { decodeFlannelConfig, type FlannelConfig } from "./config.ts";
import { buildDelegateConfig, delegateType, ipamType } from "./delegate-config.ts";
import { findState, listStates, removeState, saveState, type State, type StateKey } from "./state.ts";
import { parseSubnetEnv, type SubnetEnv } from "./subnet-env.ts";

/**
 * How long ADD waits for a daemon that is just starting. containerd 1.6 knows no STATUS: it starts the first pods of a node
 * that joins as soon as the conflist is there, and tries a failed sandbox again only 12 s later.
 */
const patienceMs = 10_000;

/** The flannel plugin: tells another plugin, bridge unless it is said otherwise, what the daemon found out. */
export const flannel: CniPlugin = {
  name: "flannel",
  about: "CNI flannel plugin of tartan",
  add,
  del,
  check,
  gc,
  status,
};

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
 * Deletes with the configuration that ADD used, which is forgotten only when that has succeeded. It may be gone: then the
 * present configuration serves.
 */
function del(request: CniRequest): void {
  const config = decodeFlannelConfig(request.config);
  const key = stateKey(request, config);
  const state = findState(key);
  runAll([
    (): void => portsPlugin(request).del(request),
    (): void => {
      if (state === undefined) deleteUnrecorded(request, config);
      else delegateDel(request, state.type, state.json);
    },
  ]);
  removeState(key);
}

/** Hands the delegate the configuration that ADD used, with the result of today. */
function check(request: CniRequest): void {
  const config = decodeFlannelConfig(request.config);
  const state = findState(stateKey(request, config));
  const json = state?.json ?? buildDelegateConfig(config, loadSubnetEnv(config.subnetFile));
  delegateCheck(request, state?.type ?? delegateType(config), withMembers(request, json, ["cniVersion", "prevResult"]));
  if (hasPorts(request)) portsPlugin(request).check(request);
}

/**
 * Has the delegate free what it has of attachments that are not valid any more and, when it has, forgets their
 * configurations. Whose a file is, it says itself: the directory may be shared with other networks.
 */
function gc(request: CniGcRequest): void {
  const config = decodeFlannelConfig(request.config);
  const json = findRebuilt(request, config);
  runAll([
    (): void => portsPlugin(request).gc(request),
    (): void => {
      // Without a readable subnet.env only our own plugins know what to free; the others' error is that file's.
      if (json === undefined) loadSubnetEnv(config.subnetFile);
      else delegateGc(request, delegateType(config), withMembers(request, json, validAttachmentKeys));
    },
  ]);
  const stale = listStates(config.dataDir, config.name).filter((state) => !isValid(state, request.valid));
  runAll(
    stale.map(
      ({ path }) =>
        (): unknown =>
          removeFile(path),
    ),
  );
}

/** Whatever ADD would try again for is code 50 here: somebody, be it the daemon, has to act first. */
function status(request: CniNetworkRequest): void {
  const [type, json] = notAvailableUnless(() => {
    const config = decodeFlannelConfig(request.config);
    return [delegateType(config), buildDelegateConfig(config, loadSubnetEnv(config.subnetFile))];
  });
  delegateStatus(request, type, json);
}

/** The plugin that maps ports; flannel does it with its own entry's configuration, when that has the capability. */
function portsPlugin({ builtIn }: CniRequest | CniGcRequest): CniPlugin {
  const plugin = builtIn.get("portmap");
  if (plugin === undefined) throw new Error("Cannot map ports: portmap is not built in");
  return plugin;
}

function hasPorts({ config }: CniRequest): boolean {
  return !config.decoder.field("runtimeConfig").field("portMappings").absent;
}

/** What is wrong is said before there is a pod to take back. */
function checkPorts(request: CniRequest): void {
  if (hasPorts(request)) portsPlugin(request).checkConfig?.(request.config);
}

function addPorts(request: CniRequest, result: CniResult): void {
  portsPlugin(request).add({ ...request, config: withPrevResult(request.config, result) });
}

function stateKey(request: CniRequest, config: FlannelConfig): StateKey {
  const { containerId, interfaceName } = request;
  return { directory: config.dataDir, network: config.name, containerId, interfaceName };
}

/** An upstream file does not say the interface. */
function isValid({ containerId, interfaceName }: State, valid: ValidAttachments): boolean {
  return interfaceName === undefined ? valid.hasContainer(containerId) : valid.has(containerId, interfaceName);
}

/** The delegate's configuration with members of our own as they came. */
function withMembers(request: CniRequest | CniGcRequest, json: JsonObject, keys: readonly string[]): JsonObject {
  const members: Record<string, Json> = { ...json };
  for (const [key, value] of Object.entries(request.config.json)) if (keys.includes(key)) members[key] = value;
  return members;
}

/**
 * Deletes what the present configuration would have made. An error that shows that it cannot have made anything, a plugin
 * that is not there or a configuration that none would take, is none: otherwise DEL after a failed ADD never succeeded.
 */
function deleteUnrecorded(request: CniRequest, config: FlannelConfig): void {
  try {
    const json = findRebuilt(request, config);
    if (json !== undefined) delegateDel(request, delegateType(config), json);
  } catch (error) {
    const harmless: readonly number[] = [cniCode.unsupportedField, cniCode.invalidConfig];
    if (error instanceof CniError && !harmless.includes(error.code)) throw error;
  }
}

/** Without subnet.env the ranges are unknown, without which only our own plugins can delete. */
function findRebuilt(request: CniRequest | CniGcRequest, config: FlannelConfig): JsonObject | undefined {
  const env = findSubnetEnv(config.subnetFile);
  const ours = request.builtIn.has(delegateType(config)) && request.builtIn.has(ipamType(config));
  return env === undefined && !ours ? undefined : buildDelegateConfig(config, env);
}

function findSubnetEnv(path: string): SubnetEnv | undefined {
  try {
    return loadSubnetEnv(path);
  } catch {
    return undefined;
  }
}

/** Like loadSubnetEnv, but gives the daemon time to write the file, unless there is no pod to wait for. */
function awaitSubnetEnv(path: string, netns: string): SubnetEnv {
  try {
    return loadSubnetEnv(path);
  } catch (error) {
    if (!(error instanceof CniError) || error.code !== cniCode.tryAgainLater) throw error;
    using pod = findFile(netns);
    if (pod === undefined || !comesInTime(path)) throw error;
  }
  return loadSubnetEnv(path);
}

/** Where nothing can be watched, as when the node has no inotify instance left, the runtime has to try again. */
function comesInTime(path: string): boolean {
  try {
    return awaitFile(path, patienceMs);
  } catch {
    return false;
  }
}

/** Throws a CniError, code 11 (try again later) while the daemon has not written the file yet. */
function loadSubnetEnv(path: string): SubnetEnv {
  try {
    return parseSubnetEnv(readText(path), path);
  } catch (error) {
    const code = failedWith(error, errno.ENOENT) ? cniCode.tryAgainLater : cniCode.internal;
    const message = `failed to load flannel 'subnet.env' file: ${errorText(error)}. Check the flannel pod log for this node.`;
    throw new CniError(code, message);
  }
}

/** CHECK, GC and STATUS of the flannel plugin. */
import type { Json, JsonObject } from "../../base/decode.ts";
import { runAll } from "../../base/run-all.ts";
import { validAttachmentKeys } from "../../cni/attachments.ts";
import { delegateCheck, delegateGc, delegateStatus } from "../../cni/delegate.ts";
import type { CniGcRequest, CniNetworkRequest, CniRequest, CniUpkeep, ValidAttachments } from "../../cni/plugin.ts";
import { notAvailableUnless } from "../../cni/status.ts";
import { removeFile } from "../../sys/file.ts";
import { findRebuilt, hasPorts, portsPlugin, stateKey } from "./attachment.ts";
import { decodeFlannelConfig } from "./config.ts";
import { buildDelegateConfig, delegateType } from "./delegate-config.ts";
import { findState, listStates, type State } from "./state.ts";
import { loadSubnetEnv } from "./subnet-env-file.ts";

export const flannelUpkeep: CniUpkeep = { check, gc, status };

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

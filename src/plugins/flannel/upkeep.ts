/** CHECK, GC and STATUS of the flannel plugin. */
import { delegateCheck, delegateStatus } from "../../cni/delegate.ts";
import { isJsonObject } from "../../base/decode.ts";
import type { CniNetworkRequest, CniRequest, CniUpkeep } from "../../cni/plugin.ts";
import { notAvailableUnless } from "../../cni/status.ts";
import { checkWritable } from "../../sys/writable.ts";
import { hasPorts, keptConfig, portsPlugin, stateKey } from "./attachment.ts";
import { decodeFlannelConfig } from "./config.ts";
import { buildDelegateConfig, delegateType } from "./delegate-config.ts";
import { collectGarbage } from "./gc.ts";
import { withMembers } from "./members.ts";
import { isCertain, listStates } from "./state.ts";
import { loadSubnetEnv } from "./subnet-env-file.ts";

export const flannelUpkeep: CniUpkeep = { check, gc: collectGarbage, status };

/** Hands the delegate the configuration that ADD used, with the result of today. */
function check(request: CniRequest): void {
  const config = decodeFlannelConfig(request.config);
  const key = stateKey(request, config);
  const states = listStates(key).filter((entry) => isCertain(entry, key));
  const state = states.find(({ network }) => network === key.network) ?? states[0];
  const json =
    state === undefined ? buildDelegateConfig(config, loadSubnetEnv(config.subnetFile)) : keptConfig(state, config);
  delegateCheck(request, state?.type ?? delegateType(config), withMembers(request, json, ["cniVersion", "prevResult"]));
  if (hasPorts(request)) portsPlugin(request).check(request);
}

/** Whatever ADD would try again for is code 50 here: somebody, be it the daemon, has to act first. */
function status(request: CniNetworkRequest): void {
  const [type, json] = notAvailableUnless(() => {
    const config = decodeFlannelConfig(request.config);
    if (mayMapPorts(request)) portsPlugin(request).checkConfig?.(request.config);
    checkWritable(config.dataDir);
    return [delegateType(config), buildDelegateConfig(config, loadSubnetEnv(config.subnetFile))];
  });
  delegateStatus(request, type, json);
}

/** STATUS gets no mappings; that the runtime will hand them over on ADD, the capability says, whose form nobody checks. */
function mayMapPorts({ config }: CniNetworkRequest): boolean {
  const { value } = config.decoder.field("capabilities");
  return isJsonObject(value) && value["portMappings"] === true;
}

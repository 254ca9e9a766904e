/** CHECK, GC and STATUS of the bridge plugin. */
import { runAll } from "../../base/run-all.ts";
import { delegateGc, delegateStatus } from "../../cni/delegate.ts";
import type { CniGcRequest, CniNetworkRequest, CniUpkeep } from "../../cni/plugin.ts";
import { notAvailableUnless } from "../../cni/status.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { checkAttachment } from "./check.ts";
import { decodeBridgeConfig, ipamTypeOf } from "./config.ts";
import { checkGateways } from "./gateway-check.ts";
import { removeStaleVeths } from "./gc.ts";
import { findBridge } from "./host.ts";
import { removeStaleRules } from "./rules.ts";

export const bridgeUpkeep: CniUpkeep = { check: checkAttachment, gc, status };

/** Frees the links and, behind them, the addresses of attachments that the runtime no longer knows. */
function gc(request: CniGcRequest): void {
  runAll([
    (): void => removeStaleVeths(request),
    (): void => removeStaleRules(request),
    (): void => {
      const ipamType = ipamTypeOf(request.config);
      if (ipamType !== "") delegateGc(request, ipamType, request.config.json);
    },
  ]);
}

/**
 * ADD makes all it needs, so that the configuration, whoever has the bridge's name or its gateway's place, and the IPAM
 * plugin decide.
 */
function status(request: CniNetworkRequest): void {
  const config = notAvailableUnless(() => {
    const decoded = decodeBridgeConfig(request.config);
    using socket = new NetlinkSocket();
    findBridge(socket, decoded.bridge);
    return decoded;
  });
  if (config.ipamType !== "") delegateStatus(request, config.ipamType, request.config.json);
  notAvailableUnless(() => checkGateways(request, config));
}

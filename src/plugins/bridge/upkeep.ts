/** CHECK, GC and STATUS of the bridge plugin. */
import { runAll } from "../../base/run-all.ts";
import { delegateGc, delegateStatus } from "../../cni/delegate.ts";
import type { CniGcRequest, CniNetworkRequest, CniUpkeep, StaleAddress } from "../../cni/plugin.ts";
import { notAvailableUnless } from "../../cni/status.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { answeringText, keeping, listAnswering } from "./answering.ts";
import { checkAttachment } from "./check.ts";
import { decodeBridgeConfig, ipamTypeOf } from "./config.ts";
import { checkDevices } from "./device-check.ts";
import { checkGateways } from "./gateway-check.ts";
import { removeStaleVeths } from "./gc.ts";
import { removeStaleRules } from "./rules.ts";

export const bridgeUpkeep: CniUpkeep = { check: checkAttachment, gc, status, stale };

/** Those of its IPAM plugin that is built in. */
function stale(request: CniGcRequest): readonly StaleAddress[] {
  return request.builtIn.get(ipamTypeOf(request.config))?.stale?.(request) ?? [];
}

/**
 * Frees the links and, behind them, the addresses of attachments that the runtime no longer knows. One that still answers
 * stays, and is told: its link is another plugin's, and the next pod would share it.
 */
function gc(request: CniGcRequest): void {
  runAll([
    (): void => removeStaleVeths(request),
    (): void => removeStaleRules(request),
    (): void => {
      const ipamType = ipamTypeOf(request.config);
      if (ipamType === "") return;
      const answering = listAnswering(request, ipamType);
      for (const one of answering) request.warn(answeringText(request, one));
      delegateGc(keeping(request, answering), ipamType, request.config.json);
    },
  ]);
}

/**
 * ADD makes all it needs, so that the configuration, the kernel, whoever has the bridge's name or its gateway's place, and the
 * IPAM plugin decide.
 */
function status(request: CniNetworkRequest): void {
  const config = notAvailableUnless(() => {
    const decoded = decodeBridgeConfig(request.config);
    using socket = new NetlinkSocket();
    checkDevices(socket, decoded);
    return decoded;
  });
  if (config.ipamType !== "") delegateStatus(request, config.ipamType, request.config.json);
  notAvailableUnless(() => checkGateways(request, config));
}

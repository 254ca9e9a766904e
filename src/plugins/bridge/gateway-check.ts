import type { CniNetworkRequest } from "../../cni/plugin.ts";
import { findLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import type { BridgeConfig } from "./config.ts";
import { findObstacles, gatewayError, hasAddress, listPermanent, obstacleError } from "./host.ts";
import { vlanGatewayName } from "./vlan-gateway.ts";

/**
 * Throws ADD's error when the device that is to have the gateway address has another one, as after the node was given
 * another subnet: every ADD fails until somebody removes it. Which gateways an IPAM plugin of somebody else's gives is not
 * known beforehand; and of the ranges of a set one whose gateway can be had is enough.
 */
export function checkGateways(request: CniNetworkRequest, config: BridgeConfig): void {
  const { bridge, extras, isGateway, forceAddress, ipamType } = config;
  if (!isGateway || forceAddress) return;
  using socket = new NetlinkSocket();
  const inVlan = extras.vlan !== 0;
  const name = inVlan ? vlanGatewayName(bridge, extras.vlan) : bridge;
  const device = findLink(socket, { name });
  if (device === undefined) return;
  const present = listPermanent(socket, device.index);
  const sets = request.builtIn.get(ipamType)?.gateways?.(request) ?? [];
  for (const gateways of sets) {
    const [first] = gateways;
    const blocked = gateways.every(
      (gateway) => !hasAddress(present, gateway) && findObstacles(present, gateway, sets.flat()).length > 0,
    );
    if (first !== undefined && blocked) throw gatewayError(inVlan, obstacleError(name, first));
  }
}

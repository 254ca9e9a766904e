import { knowsVlans } from "../../netlink/bridge-state.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import type { BridgeConfig } from "./config.ts";
import { findBridge } from "./host.ts";
import { wantedVlans } from "./port.ts";

/** include/uapi/linux/if_ether.h: ETH_MIN_MTU */
const smallestMtu = 68;

/**
 * Throws an Error for the devices that the kernel would not make, as far as that can be told without making any; where there
 * is no bridge yet, it does not tell whether it has VLANs.
 */
export function checkDevices(socket: NetlinkSocket, { bridge: name, mtu, extras }: BridgeConfig): void {
  const bridge = findBridge(socket, name);
  if (!isDeviceName(name)) throw new Error(`failed to create bridge "${name}": the kernel takes no such name`);
  if (mtu !== 0 && mtu < smallestMtu) {
    throw new Error(`failed to create bridge "${name}": MTU ${mtu} is below the kernel's minimum, ${smallestMtu}`);
  }
  if (bridge === undefined || wantedVlans(extras).length === 0 || knowsVlans(socket, bridge.index)) return;
  throw new Error(`Cannot use VLANs with bridge "${name}": the kernel lacks them (CONFIG_BRIDGE_VLAN_FILTERING)`);
}

/** net/core/dev.c: dev_valid_name; too long a name the kernel refuses when it is looked for. */
function isDeviceName(name: string): boolean {
  return name !== "." && name !== ".." && !/[/:\s]/.test(name);
}

/** What the rare keys ask of ports of the bridge: isolation and VLANs. */
import { findLink } from "../../netlink/link.ts";
import { isolateBridgePort } from "../../netlink/bridge-port.ts";
import { addPortVlans, deletePortVlans, listPortVlans, type PortVlan } from "../../netlink/bridge-vlan.ts";
import type { NetlinkSocket } from "../../netlink/socket.ts";
import type { ExtraConfig } from "./extra-config.ts";

/** VLANs of a port without a native one of its own belong to this, the kernel's default (bridge: IFLA_BR_VLAN_DEFAULT_PVID). */
const usualVlan = 1;

/** The keys that say which VLANs a port belongs to. */
type VlanConfig = Pick<ExtraConfig, "vlan" | "trunk" | "preserveDefaultVlan">;

/** Isolates the port and makes it belong to its VLANs, as far as the configuration asks for that. */
export function configurePort(socket: NetlinkSocket, name: string, extras: ExtraConfig): void {
  if (!extras.portIsolation && wantedVlans(extras).length === 0) return;
  const port = findLink(socket, { name });
  if (port === undefined) throw new Error(`Cannot find ${name}: somebody removed it`);
  if (extras.portIsolation) socket.request(isolateBridgePort(port.index));
  joinVlans(socket, port.index, extras);
}

/** Makes a port belong to its VLANs and, unless that is asked for, to no other. Safe to repeat. */
export function joinVlans(socket: NetlinkSocket, portIndex: number, config: VlanConfig): void {
  const wanted = wantedVlans(config);
  if (wanted.length === 0) return;
  if (!config.preserveDefaultVlan) {
    const ids = new Set(wanted.map((vlan) => vlan.id));
    const others = listPortVlans(socket, portIndex).filter((vlan) => !ids.has(vlan.id));
    if (others.length > 0)
      socket.request(
        deletePortVlans(
          portIndex,
          others.map((vlan) => vlan.id),
        ),
      );
  }
  socket.request(addPortVlans(portIndex, wanted));
}

/** The VLANs that the configuration gives a port, none when it says nothing of them. Pure. */
export function wantedVlans({ vlan, trunk = [] }: VlanConfig): readonly PortVlan[] {
  if (vlan === 0 && trunk.length === 0) return [];
  const native = vlan === 0 ? usualVlan : vlan;
  const tagged = trunk.filter((id) => id !== native).map((id) => ({ id, native: false }));
  return [{ id: native, native: true }, ...tagged];
}

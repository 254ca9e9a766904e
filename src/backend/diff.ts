/** What has to be done to the kernel so that it holds what is wanted; pure. */
import { cidrContains, cidrEquals, formatCidr } from "../addr/cidr.ts";
import { formatIp } from "../addr/ip.ts";
import { deleteAddress, replaceAddress } from "../netlink/address.ts";
import { changeLink, deleteLink, type Link, type LinkChanges } from "../netlink/link.ts";
import { addLink } from "../netlink/link-spec.ts";
import { vxlanDifferences } from "../netlink/link-vxlan.ts";
import type { Request } from "../netlink/message.ts";
import type { Change } from "./change.ts";
import { planEntries } from "./diff-entries.ts";
import type { Overlay } from "./overlay.ts";
import type { Present } from "./present.ts";

/**
 * What is to be done, in two stages: changes of the device take entries with them (down, another MAC address, its last
 * address), so that the entries are compared again once the device is right.
 */
export interface Changes {
  readonly device: readonly Change[];
  readonly entries: readonly Change[];
}

/** Compares. Throws an Error when the name is taken by a device that is not vxlan: somebody else's. */
export function planChanges(present: Present, overlay: Overlay): Changes {
  const { device: spec } = overlay;
  const { device } = present;
  if (device === undefined) {
    return { device: [change(`device ${spec.name} missing`, [addLink(spec)])], entries: [] };
  }
  if (device.vxlan === undefined) {
    throw new Error(
      `Cannot use device "${spec.name}": it is of kind "${device.kind ?? "none"}", wanted "vxlan"; it is left as it is`,
    );
  }
  const differences = vxlanDifferences(device.vxlan, spec.vxlan);
  if (differences.length > 0) {
    const problem = `device ${spec.name} with ${differences.join(", ")}`;
    return { device: [change(problem, [deleteLink({ index: device.index }), addLink(spec)])], entries: [] };
  }
  return {
    device: [...planDevice(device, overlay), ...planAddresses(present, overlay, device.index)],
    entries: planEntries(present, overlay, device.index),
  };
}

/** True for a device that a comparison would leave as it is. */
export function deviceMatches(device: Link, overlay: Overlay): boolean {
  const { device: spec } = overlay;
  if (device.name !== spec.name || device.vxlan === undefined) return false;
  return vxlanDifferences(device.vxlan, spec.vxlan).length === 0 && planDevice(device, overlay).length === 0;
}

function planDevice(device: Link, { device: spec }: Overlay): readonly Change[] {
  const changes: Change[] = [];
  if (device.mac !== spec.mac) {
    changes.push(linkChange(device, `MAC ${device.mac ?? "none"} instead of ${spec.mac}`, { mac: spec.mac }));
  }
  if (device.mtu !== spec.mtu) {
    changes.push(linkChange(device, `MTU ${device.mtu} instead of ${spec.mtu}`, { mtu: spec.mtu }));
  }
  if (!device.up) changes.push(linkChange(device, "down instead of up", { up: true }));
  return changes;
}

function linkChange(device: Link, problem: string, changes: LinkChanges): Change {
  return change(`device ${device.name} ${problem}`, [changeLink({ index: device.index }, changes)]);
}

/** Ours comes first: when the last address of a device goes, the kernel takes all its routes away. */
function planAddresses({ addresses }: Present, overlay: Overlay, interfaceIndex: number): readonly Change[] {
  const wanted = overlay.address;
  const changes: Change[] = [];
  if (!addresses.some(({ address }) => cidrEquals(address, wanted))) {
    const request = replaceAddress({ interfaceIndex, address: wanted });
    changes.push(change(`address ${formatCidr(wanted)} missing`, [request]));
  }
  for (const { address } of addresses) {
    // As upstream's EnsureV4AddressOnLink: others inside the network are of an earlier lease; those outside are not ours.
    if (cidrEquals(address, wanted) || !cidrContains(overlay.network, address.address)) continue;
    const problem = `address ${formatCidr(address)} that is not ${formatIp(wanted.address)}`;
    changes.push({ ...change(problem, [deleteAddress({ interfaceIndex, address })]), removal: true });
  }
  return changes;
}

function change(problem: string, requests: readonly Request[]): Change {
  return { problem, peer: undefined, removal: false, requests };
}

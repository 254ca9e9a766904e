import { runAll } from "../../base/run-all.ts";
import type { CniGcRequest } from "../../cni/plugin.ts";
import { listLinks, removeLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { hostVethAlias, hostVethName, networkHash, vethNameOf } from "./attachment.ts";

/**
 * Removes the pairs of this network whose attachment is not valid any more. Networks may share a bridge, so that the alias
 * decides, together with the name that follows from it; a device without our alias is nobody's business here. Tries all
 * of them and throws what is left.
 */
export function removeStaleVeths({ config: { name: network }, valid }: CniGcRequest): void {
  const kept = new Set(valid.list.map((attachment) => hostVethAlias({ network, ...attachment })));
  const ownNames = [network, networkHash(network)];
  using socket = new NetlinkSocket();
  const stale = listLinks(socket).filter(({ kind, name, alias }) => {
    const mark = findAliasMark(alias);
    return kind === "veth" && mark?.device === name && ownNames.includes(mark.network) && !kept.has(alias);
  });
  runAll(
    stale.map(
      ({ index }) =>
        (): unknown =>
          removeLink(socket, { index }),
    ),
  );
}

/** The network that an alias names, or what stands for it, and the name that such a device has; undefined for none of ours. */
export function findAliasMark(alias: string): { readonly network: string; readonly device: string } | undefined {
  const [program, network, containerId, interfaceName, ...more] = alias.split(" ");
  if (program !== "tartan" || network === undefined || containerId === undefined || more.length > 0) return undefined;
  if (interfaceName !== undefined) return { network, device: hostVethName({ network, containerId, interfaceName }) };
  return network.startsWith("~") ? { network, device: vethNameOf(containerId) } : undefined;
}

import { runAll } from "../../base/run-all.ts";
import type { CniGcRequest } from "../../cni/plugin.ts";
import { type Link, listLinks, removeLink } from "../../netlink/link.ts";
import { NetlinkSocket } from "../../netlink/socket.ts";
import { findAliasOwner, hostVethName } from "./attachment.ts";

/**
 * Removes the pairs of this network whose attachment is not valid any more. Networks may share a bridge, so that the alias
 * decides, together with the name that follows from it; a device without our alias is nobody's business here. Tries all
 * of them and throws what is left.
 */
export function removeStaleVeths(request: CniGcRequest): void {
  using socket = new NetlinkSocket();
  const stale = listLinks(socket).filter((link) => isStale(link, request));
  runAll(
    stale.map(
      ({ index }) =>
        (): unknown =>
          removeLink(socket, { index }),
    ),
  );
}

function isStale({ kind, name, alias }: Link, { config, valid }: CniGcRequest): boolean {
  if (kind !== "veth") return false;
  const owner = findAliasOwner(alias);
  if (owner === undefined || owner.network !== config.name || hostVethName(owner) !== name) return false;
  return !valid.has(owner.containerId, owner.interfaceName);
}

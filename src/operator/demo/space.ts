import { NetlinkSocket } from "../../netlink/socket.ts";
import { errno, failedWith } from "../../sys/errno.ts";
import { inNetns, type Netns } from "../../sys/netns.ts";
import { createNetns } from "../../sys/netns-create.ts";
import { netnsName, type Place } from "./place.ts";

/** One of the demo's network namespaces: a node, a pod or the switch. It closes what it holds; the namespace stays. */
export interface Space extends Disposable {
  /** Short, for people: `node1`. */
  readonly name: string;
  readonly netns: Netns;
  readonly netlink: NetlinkSocket;
}

/** Makes a network namespace and looks into it. */
export function createSpace(place: Place, name: string): Space {
  const netns = createNamespace(netnsName(place, name));
  try {
    const netlink = inNetns(netns, () => new NetlinkSocket());
    return {
      name,
      netns,
      netlink,
      [Symbol.dispose](): void {
        netlink[Symbol.dispose]();
        netns[Symbol.dispose]();
      },
    };
  } catch (error) {
    netns[Symbol.dispose]();
    throw error;
  }
}

function createNamespace(name: string): Netns {
  try {
    return createNetns(name);
  } catch (error) {
    if (!failedWith(error, errno.EPERM)) throw error;
    const reason = "root may not do that here (it takes CAP_SYS_ADMIN, which a container has only when privileged)";
    throw new Error(`Cannot make network namespace "${name}": ${reason}`, { cause: error });
  }
}

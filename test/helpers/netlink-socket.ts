import { NetlinkSocket } from "../../src/netlink/socket.ts";
import { findNetns, inNetns, type Netns } from "../../src/sys/netns.ts";
import type { TestNetns } from "./netns.ts";

/** A test's namespace, opened by our own code. */
export function openNetns(netns: TestNetns): Netns {
  const found = findNetns(netns.path);
  if (found === undefined) throw new Error(`Cannot open network namespace "${netns.path}": it is not there`);
  return found;
}

/** A socket of ours in a test's namespace; the test process is inside only while it opens it. */
export function openNetlink(netns: TestNetns, protocol?: number): NetlinkSocket {
  using namespace = openNetns(netns);
  return inNetns(namespace, () => new NetlinkSocket(protocol));
}

/** The steps that show that the pods reach one another, and how their packets travel. */
import { formatIp } from "../../addr/ip.ts";
import { inNetns } from "../../sys/netns.ts";
import { PacketCapture } from "../../sys/packet.ts";
import { findPacketLines } from "./packet-text.ts";
import { pingLines, pingOnce } from "./ping.ts";
import { nodeInterface, podBridge, tunnelDevice } from "./plan.ts";
import type { DemoPod } from "./pod.ts";
import type { Screen } from "./screen.ts";
import { podAddress } from "./show-pods.ts";
import type { Space } from "./space.ts";
import { indexOf } from "./underlay.ts";

/** The kernel switches time stamps on by a work queue: a packet before that would be stamped when it is read. */
const settleMilliseconds = 20;

/** A device to capture on, and what tcpdump would be told to show the same. */
interface Tap {
  readonly device: string;
  readonly command: string;
}

/** A ping that stays on its node; false when it did not come back. */
export function showPingOnNode(screen: Screen, from: DemoPod, to: DemoPod): Promise<boolean> {
  screen.heading(
    `A ping between two pods of one node: ${from.name} to ${to.name}`,
    `Over ${podBridge} alone, from veth to veth: nobody routes it, and the TTL of 64 comes back as it was.`,
  );
  return showPing(screen, from, to, [{ device: podBridge, command: `tcpdump -n -v -i ${podBridge} icmp` }]);
}

/** A ping from node to node; false when it did not come back. */
export function showPingAcross(screen: Screen, from: DemoPod, to: DemoPod): Promise<boolean> {
  screen.heading(
    `A ping between pods of two nodes: ${from.name} to ${to.name}`,
    `Each node routes it once, so that the TTL of 64 comes back as 62. On ${tunnelDevice} it is the pods' packet; on the`,
    "node's own interface the same packet is inside UDP, port 8472, from node to node.",
  );
  return showPing(screen, from, to, [
    { device: tunnelDevice, command: `tcpdump -n -v -i ${tunnelDevice} icmp` },
    { device: nodeInterface, command: `tcpdump -n -v -T vxlan -i ${nodeInterface} udp port 8472` },
  ]);
}

/** One ping from each pod to each other; false when one did not come back. */
export function showAllPings(screen: Screen, pods: readonly DemoPod[]): boolean {
  screen.heading("Every pod to every other", "The TTL of the answer to one ping each, from the pod at the left.");
  screen.text("", ["", ...pods.map((pod) => pod.name)].map(cell).join(""));
  let complete = true;
  for (const from of pods) {
    const replies = pods.map((to) => {
      if (to === from) return "-";
      const reply = pingOnce(from, podAddress(to));
      complete &&= reply !== undefined;
      return reply === undefined ? "lost" : String(reply.ttl);
    });
    screen.text([from.name, ...replies].map(cell).join(""));
  }
  return complete;
}

async function showPing(screen: Screen, from: DemoPod, to: DemoPod, taps: readonly Tap[]): Promise<boolean> {
  const { space } = from.node;
  using captures = new DisposableStack();
  const open = taps.map((tap) => ({ ...tap, capture: captures.use(openCapture(space, tap.device)) }));
  await Bun.sleep(settleMilliseconds);
  const target = podAddress(to);
  const reply = pingOnce(from, target);
  screen.block(from.name, `ping -c1 ${formatIp(target)}`, pingLines(target, reply));
  for (const { command, capture } of open) {
    const lines = capture.take().flatMap((frame) => findPacketLines(frame) ?? []);
    screen.block(space.name, command, lines);
  }
  return reply !== undefined;
}

function openCapture(space: Space, device: string): PacketCapture {
  const index = indexOf(space, device);
  return inNetns(space.netns, () => new PacketCapture(index));
}

function cell(text: string): string {
  return text.padEnd(8);
}

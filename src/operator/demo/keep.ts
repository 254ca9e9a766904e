import { formatIp } from "../../addr/ip.ts";
import { logPath } from "./node.ts";
import { netnsName, type Place } from "./place.ts";
import { nodeInterface, tunnelDevice } from "./plan.ts";
import type { DemoPod } from "./pod.ts";
import { podAddress } from "./show-pods.ts";

/** How to look around in a demo that stays, and how to remove it. */
export function keepLines(place: Place, from: DemoPod, to: DemoPod): readonly string[] {
  const node = from.node.plan.name;
  const inNode = `ip netns exec ${netnsName(place, node)}`;
  return [
    "Look around, with iproute2 and tcpdump:",
    `  ${inNode} ip -d addr`,
    `  ${inNode} bridge fdb show dev ${tunnelDevice}`,
    `  ${inNode} tcpdump -n -T vxlan -i ${nodeInterface} udp port 8472`,
    `  ip netns exec ${netnsName(place, from.name)} ping ${formatIp(podAddress(to))}`,
    `  ls -R ${place.directory}`,
    `  tail -f ${logPath(place, node)}`,
    "",
    "Remove it:",
    `  ${process.execPath} demo --remove ${place.id}`,
  ];
}

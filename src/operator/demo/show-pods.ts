/** The steps that show the pods, what the CNI plugin answered, and what it made on the node. */
import { formatIp, type IpAddress } from "../../addr/ip.ts";
import { listAddresses } from "../../netlink/address.ts";
import { listDirectory } from "../../sys/directory.ts";
import { readText } from "../../sys/file.ts";
import { linkAndAddressLines, portLines } from "../iproute/link.ts";
import { routeLines } from "../iproute/route.ts";
import { podBridge, podInterface } from "./plan.ts";
import { addressDirectory, conflistPath, type DemoPod } from "./pod.ts";
import type { Screen } from "./screen.ts";
import { fileLines, showFile, showLink } from "./show-nodes.ts";
import { indexOf } from "./underlay.ts";

/** The address the kernel of a pod has for it. */
export function podAddress(pod: DemoPod): IpAddress {
  const [address] = listAddresses(pod.space.netlink, indexOf(pod.space, podInterface), 4);
  if (address === undefined) throw new Error(`Cannot find the address of ${pod.name}: its ${podInterface} has none`);
  return address.address.address;
}

/** What a runtime gave to the plugin for one pod, and what came of it. */
export function showPod(screen: Screen, pod: DemoPod): void {
  screen.heading(
    `A pod: ${pod.name} on ${pod.node.space.name}`,
    "A container runtime makes the pod's network namespace and hands the configuration to the CNI plugin flannel, which",
    "does bridge and host-local itself, and prints the result.",
  );
  showFile(screen, pod.node.space.name, conflistPath(pod.node));
  const call = `CNI_COMMAND=ADD CNI_NETNS=${pod.space.netns.path} CNI_IFNAME=${podInterface} … flannel`;
  screen.block(pod.node.space.name, call, fileLines(pod.result));
  const lines = ["lo", podInterface].flatMap((name) => linkAndAddressLines(pod.space.netlink, name));
  screen.block(pod.name, "ip -d addr show", lines);
  screen.block(pod.name, "ip route show", routeLines(pod.space.netlink, 4));
}

/** What the pods of one node have in common. */
export function showPodBridge(screen: Screen, pod: DemoPod): void {
  const { space } = pod.node;
  screen.heading(
    `${podBridge} on ${space.name}`,
    "The bridge has the pods' gateway address; one end of each pod's veth pair is plugged into it. host-local keeps in",
    "files which address is whose.",
  );
  showLink(screen, space, podBridge);
  screen.block(space.name, `ip -d link show master ${podBridge}`, portLines(space.netlink, podBridge));
  const directory = addressDirectory(pod.node);
  const lines = (listDirectory(directory) ?? [])
    .toSorted()
    .flatMap((name) => [`==> ${name} <==`, ...fileLines(readText(`${directory}/${name}`))]);
  screen.block(space.name, `cd ${directory} && head $(ls -A)`, lines);
}

/** All pods. */
export function showAllPods(screen: Screen, pods: readonly DemoPod[]): void {
  screen.heading("All pods");
  screen.text("");
  screen.text(tableLine("NAME", "IP", "NODE"));
  for (const pod of pods) screen.text(tableLine(pod.name, formatIp(podAddress(pod)), pod.node.space.name));
}

function tableLine(name: string, address: string, node: string): string {
  return `${name.padEnd(8)}${address.padEnd(16)}${node}`;
}

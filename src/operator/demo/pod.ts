/** What a container runtime does for a pod's network: makes its namespace and calls the CNI plugins of the conflist. */
import { Decoder, type JsonObject, parseJson } from "../../base/decode.ts";
import { runChild } from "../../sys/child.ts";
import { readText, replaceFile } from "../../sys/file.ts";
import type { DemoNode } from "./node.ts";
import type { Place } from "./place.ts";
import { podInterface } from "./plan.ts";
import { createSpace, type Space } from "./space.ts";

const timeoutMilliseconds = 10_000;

/** A pod and what the plugin answered for it. */
export interface DemoPod {
  readonly name: string;
  readonly node: DemoNode;
  readonly space: Space;
  readonly containerId: string;
  /** What the CNI plugin flannel printed, byte for byte. */
  readonly result: string;
}

/** The conflist of a node. */
export function conflistPath(node: DemoNode): string {
  return `${node.directory}/net.d/10-flannel.conflist`;
}

/** Where a node's host-local keeps which address belongs to which container. */
export function addressDirectory(node: DemoNode): string {
  return `${node.directory}/networks/cbr0`;
}

/** Writes flannel's stock conflist. Its own are the paths, since both nodes share one file system. */
export function writeConflist(node: DemoNode): void {
  const delegate = { hairpinMode: true, isDefaultGateway: true };
  const flannel = {
    type: "flannel",
    delegate,
    subnetFile: node.subnetFile,
    dataDir: `${node.directory}/flannel`,
    ipam: { dataDir: `${node.directory}/networks` },
  };
  const conflist = { name: "cbr0", cniVersion: "1.0.0", plugins: [flannel] };
  replaceFile(conflistPath(node), `${JSON.stringify(conflist, undefined, 2)}\n`, 0o644);
}

/** Makes a pod: a namespace, `lo` by the plugin loopback, and then the plugins of the node's conflist. */
export async function addPod(place: Place, node: DemoNode, name: string): Promise<DemoPod> {
  const space = createSpace(place, name);
  const pod = { name, node, space, containerId: crypto.getRandomValues(new Uint8Array(32)).toHex() };
  try {
    await callPlugin(place, pod, "lo", { cniVersion: "1.0.0", name: "cni-loopback", type: "loopback" });
    const list = new Decoder(parseJson(readText(conflistPath(node))));
    const common = { cniVersion: list.field("cniVersion").string() ?? "", name: list.field("name").string() ?? "" };
    const [plugin] = list.field("plugins").list();
    const result = await callPlugin(place, pod, podInterface, { ...plugin?.object(), ...common });
    return { ...pod, result };
  } catch (error) {
    space[Symbol.dispose]();
    throw error;
  }
}

async function callPlugin(
  place: Place,
  pod: Omit<DemoPod, "result">,
  interfaceName: string,
  config: JsonObject,
): Promise<string> {
  const type = new Decoder(config).field("type").string() ?? "";
  const environment = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: pod.containerId,
    CNI_NETNS: pod.space.netns.path,
    CNI_IFNAME: interfaceName,
    CNI_PATH: place.programs,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name}`,
  };
  const spec = { argv: [`${place.programs}/${type}`], netns: pod.node.space.netns, environment };
  const { exitCode, stdout, stderr } = await runChild(spec, JSON.stringify(config), timeoutMilliseconds);
  if (exitCode === 0) return stdout;
  throw new Error(`Cannot add ${pod.name} by the CNI plugin ${type}: ${failureText(stdout, stderr, exitCode)}`);
}

/** A CNI error's message; what else the plugin said where it gave none. */
function failureText(stdout: string, stderr: string, exitCode: number): string {
  try {
    const reply = new Decoder(parseJson(stdout));
    const details = reply.field("details").string() ?? "";
    return [reply.field("msg").string() ?? stdout, ...(details === "" ? [] : [details])].join(": ");
  } catch {
    return `exit code ${exitCode}: ${stdout.trim()} ${stderr.trim()}`.trimEnd();
  }
}

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { findText } from "../../src/sys/file.ts";
import type { BackgroundProcess } from "../helpers/background.ts";
import { listLinks, listRuleset } from "../helpers/kernel.ts";
import type { RealNode } from "./cluster-node.ts";

/** The runtime's file about one pod, `cbr0-…-eth0` below /var/lib/cni/results. */
export interface ResultFile {
  readonly file: string;
  readonly pod: string;
  readonly containerId: string;
  readonly networkName: string;
  /** The names of the interfaces in their order: the bridge, the node's end, the pod's end. */
  readonly interfaces: readonly string[];
  readonly address: string;
  /** The path of the pod's network namespace. */
  readonly sandbox: string;
}

/**
 * The runtime's files about the pods of a node; one that it is writing just now is empty (libcni, os.WriteFile), and one of a
 * pod that goes just now may be gone.
 */
export async function listResults(node: RealNode): Promise<readonly ResultFile[]> {
  const directory = "var/lib/cni/results";
  const results: ResultFile[] = [];
  for (const file of await node.list(directory)) {
    if (!file.startsWith("cbr0-")) continue;
    const text = findText(node.machine.path(`${directory}/${file}`)) ?? "";
    if (text !== "") results.push(decodeResult(file, new Decoder(parseJson(text))));
  }
  return results;
}

function decodeResult(file: string, item: Decoder): ResultFile {
  const result = item.field("result");
  const interfaces = result.field("interfaces").list();
  const sandboxes = interfaces.map((link) => link.field("sandbox").string() ?? "");
  const words = item
    .field("cniArgs")
    .list()
    .map((pair) => pair.list().map((word) => word.string() ?? ""));
  return {
    file,
    pod: words.find(([key]) => key === "K8S_POD_NAME")?.[1] ?? "",
    containerId: item.field("containerId").string() ?? "",
    networkName: item.field("networkName").string() ?? "",
    interfaces: interfaces.map((link) => link.field("name").string() ?? ""),
    address: result.field("ips").list()[0]?.field("address").string() ?? "",
    sandbox: sandboxes.find((path) => path !== "") ?? "",
  };
}

/** The runtime's file about one pod. */
export async function findResult(node: RealNode, pod: string): Promise<ResultFile> {
  const found = (await listResults(node)).find((result) => result.pod === pod);
  if (found === undefined) throw new Error(`Cannot find the result of pod "${pod}": ${node.name} has none`);
  return found;
}

/** What is on a node for its pods and must go with them, as sorted lines: addresses, veths, files, namespaces, rules. */
export async function listPodTraces(node: RealNode): Promise<readonly string[]> {
  const addresses = (await node.list("var/lib/cni/networks/cbr0")).filter((name) => /^\d/.test(name));
  const links = (await listLinks(node.netns)).filter(({ kind, name }) => kind === "veth" && name !== "eth0");
  const states = await node.list("var/lib/cni/flannel");
  const results = (await node.list("var/lib/cni/results")).filter((name) => name.startsWith("cbr0-"));
  const namespaces = await node.list("run/netns");
  return [
    ...addresses.map((name) => `address ${name}`),
    ...links.map(({ name }) => `veth ${name}`),
    ...states.map((name) => `state ${name}`),
    ...results.map((name) => `result ${name}`),
    ...namespaces.map((name) => `namespace ${name}`),
    ...(await listPodRules(node)),
  ].toSorted();
}

/** What plugins have put into the packet filter for single pods: elements of our table, chains of the reference portmap. */
async function listPodRules(node: RealNode): Promise<readonly string[]> {
  const sets = (await listRuleset(node.netns)).flatMap((item) => [item.field("set"), item.field("map")]);
  const ours = sets.filter((set) => set.field("table").string() === "tartan");
  const elements = ours.flatMap((set) =>
    set
      .field("elem")
      .list()
      .map(({ value }) => `element ${set.field("name").string()} ${JSON.stringify(value)}`),
  );
  const { stdout } = await node.run(["iptables-save", "-t", "nat"]);
  return [...elements, ...(stdout.match(/^:CNI-[DS]N-\w+/gm) ?? [])];
}

/** How a ping that went on for a while fared. */
export interface PingCount {
  readonly sent: number;
  readonly lost: number;
}

/** A ping every 10 ms from a pod, started in its namespace so that nothing of the cluster stands between. */
export class SteadyPing implements AsyncDisposable {
  readonly #process: BackgroundProcess;

  constructor(process: BackgroundProcess) {
    this.#process = process;
  }

  /** Ends it and counts. */
  async stop(): Promise<PingCount> {
    await this.#process.stop("SIGINT");
    const counts = /(\d+) packets transmitted, (\d+) received/.exec(this.#process.stdout);
    if (counts === null) throw new Error(`Cannot count the pings: ${this.#process.describe()}`);
    const sent = Number(counts[1]);
    return { sent, lost: sent - Number(counts[2]) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/** Starts such a ping and waits until the first one came back. */
export async function startSteadyPing(node: RealNode, sandbox: string, address: string): Promise<SteadyPing> {
  const words = ["nsenter", `--net=${sandbox}`, "ping", "-n", "-i", "0.01", address];
  const process = node.start(words);
  try {
    await process.waitUntil(`${address} answers`, () => process.stdout.includes("bytes from"));
  } catch (error) {
    await process[Symbol.asyncDispose]();
    throw error;
  }
  return new SteadyPing(process);
}

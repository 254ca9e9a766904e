import { expect } from "bun:test";

import type { RealNode } from "./cluster-node.ts";
import type { ClusterContainerd } from "./node-files.ts";
import type { PodSpec } from "./pods.ts";
import type { RealCluster } from "./real-cluster.ts";

/** One pod for each node, to be there before the node has a network. */
export function firstPods({ nodes }: RealCluster): readonly PodSpec[] {
  return nodes.map(({ name }) => ({ name: `first-${name}`, node: name }));
}

/** That each node's runtime made the sandbox of its first pod at the first attempt, and no pod's at a later one. */
export async function noSandboxFailed(cluster: RealCluster): Promise<void> {
  const { kubectl, nodes } = cluster;
  const events = ["get", "events", "-A", "-o", "name", "--field-selector", "reason=FailedCreatePodSandBox"];
  expect(await kubectl.text(events)).toBe("");
  for (const node of nodes) {
    const attempts = await sandboxAttempts(node);
    expect(attempts.get(`first-${node.name}`)).toEqual({ begun: 1, made: 1 });
    expect([...attempts].filter(([, { begun }]) => begun > 1)).toEqual([]);
  }
}

/** Debian's containerd is of the oldest series that is looked at, the other of the newest. */
const versions: Readonly<Record<ClusterContainerd, RegExp>> = { distribution: /^1\.6\./, "2.2": /^2\.2\./ };

/** That each node runs the containerd that it was made with, as its kubelet says. */
export async function runtimesAsMade({ kubectl, nodes }: RealCluster): Promise<void> {
  const field = "jsonpath={.status.nodeInfo.containerRuntimeVersion}";
  for (const { name, containerd } of nodes) {
    const version = await kubectl.text(["get", "node", name, "-o", field]);
    expect(version.replace(/^containerd:\/\/v?/, "")).toMatch(versions[containerd]);
  }
}

/** How often the runtime began to make a sandbox for a pod of that name, and how often it made one. */
interface Attempts {
  readonly begun: number;
  readonly made: number;
}

/** By the names of pods, from the log of the node's containerd, which has a line for the begin and one for the end. */
async function sandboxAttempts(node: RealNode): Promise<ReadonlyMap<string, Attempts>> {
  const attempts = new Map<string, Attempts>();
  for (const line of (await node.read("log/containerd.log")).split("\n")) {
    // Both versions print the pod in their own way.
    const name = /"RunPodSandbox for (?:name:\\"|&PodSandboxMetadata\{Name:)([\w-]+)/.exec(line)?.[1];
    if (name === undefined || line.includes("failed, error")) continue;
    const { begun, made } = attempts.get(name) ?? { begun: 0, made: 0 };
    const ends = line.includes("returns sandbox id");
    attempts.set(name, ends ? { begun, made: made + 1 } : { begun: begun + 1, made });
  }
  return attempts;
}

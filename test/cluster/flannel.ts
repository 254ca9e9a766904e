import { readFile } from "node:fs/promises";

import { manifestPath } from "../helpers/manifest.ts";
import { peerProgram } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import { addresses } from "./addresses.ts";
import { copyReferencePlugins, imageNames } from "./images.ts";
import type { RealCluster } from "./real-cluster.ts";

/** The text of our manifest, as users get it and with their network in it. */
export async function ownManifest(network: string = addresses.podNetwork): Promise<string> {
  return withNetwork(await readFile(manifestPath, "utf8"), network);
}

/** Upstream's manifest, with the images that were made here in the place of those of its registry. */
export async function upstreamManifest(network: string = addresses.podNetwork): Promise<string> {
  const text = await readFile(peerProgram("flanneld", "kube-flannel.yml"), "utf8");
  const line = `image: ${imageNames.flannel}\n$1imagePullPolicy: Never`;
  return withNetwork(text.replace(/( *)image: ghcr\.io\/\S+/g, `$1${line}`), network);
}

function withNetwork(manifest: string, network: string): string {
  return manifest.replace(`"Network": "${addresses.podNetwork}"`, `"Network": "${network}"`);
}

/** Installs tartan as its users do. */
export async function installOwn(cluster: RealCluster): Promise<void> {
  await cluster.kubectl.applyText(await ownManifest(cluster.podNetwork));
}

/** Installs upstream's flannel as its users do: the reference plugins on every node, and its manifest. */
export async function installUpstream(cluster: RealCluster): Promise<void> {
  for (const node of cluster.nodes) await copyReferencePlugins(node.machine.path("opt/cni/bin"));
  await cluster.kubectl.applyText(await upstreamManifest(cluster.podNetwork));
}

/** Waits until every node has a daemon, that is the manifest's newest, and it is ready. */
export async function daemonsReady({ kubectl, nodes }: RealCluster): Promise<void> {
  await waitUntil(
    "the DaemonSet knows of every node",
    async () => {
      const daemons = await kubectl.get("daemonset", "kube-flannel-ds", "--namespace=kube-flannel");
      return daemons.field("status").field("desiredNumberScheduled").integer() === nodes.length;
    },
    30_000,
  );
  const rollout = ["rollout", "status", "daemonset/kube-flannel-ds", "--namespace=kube-flannel", "--timeout=120s"];
  await kubectl.run(rollout, { timeoutMs: 130_000 });
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { runCommand } from "../helpers/command.ts";
import { repositoryRoot } from "../helpers/executable.ts";
import { peerProgram } from "../helpers/peers.ts";
import { copyReferencePlugins, imageNames } from "./images.ts";
import type { RealCluster } from "./real-cluster.ts";

/** Builds our image, as `npm run image` does, and returns its archive's path. */
export async function buildOwnImage(): Promise<string> {
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const words = [process.execPath, "scripts/image.ts", `--arch=${architecture}`];
  await runCommand(words, { cwd: repositoryRoot, timeoutMs: 180_000 });
  return join(repositoryRoot, "dist", `image-${architecture}.tar`);
}

/** The text of our manifest, as users get it. */
export function ownManifest(): Promise<string> {
  return readFile(join(repositoryRoot, "deploy", "kube-flannel.yml"), "utf8");
}

/** Upstream's manifest as it ships it, with the images that were made here in the place of those of its registry. */
export async function upstreamManifest(): Promise<string> {
  const text = await readFile(peerProgram("flanneld", "kube-flannel.yml"), "utf8");
  const line = `image: ${imageNames.flannel}\n$1imagePullPolicy: Never`;
  return text.replace(/( *)image: ghcr\.io\/\S+/g, `$1${line}`);
}

/** Installs tartan as its users do. */
export async function installOwn(cluster: RealCluster): Promise<void> {
  await cluster.kubectl.applyText(await ownManifest());
}

/** Installs upstream's flannel as its users do: the reference plugins on every node, and its manifest. */
export async function installUpstream(cluster: RealCluster): Promise<void> {
  for (const node of cluster.nodes) await copyReferencePlugins(node.machine.path("opt/cni/bin"));
  await cluster.kubectl.applyText(await upstreamManifest());
}

/** Waits until the daemon of every node is the manifest's newest and ready. */
export async function daemonsReady({ kubectl }: RealCluster): Promise<void> {
  const rollout = ["rollout", "status", "daemonset/kube-flannel-ds", "--namespace=kube-flannel", "--timeout=120s"];
  await kubectl.run(rollout, { timeoutMs: 130_000 });
}

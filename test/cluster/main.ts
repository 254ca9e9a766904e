/**
 * `npm run cluster`: brings up a real cluster on this machine, installs tartan in it from the manifest and the image that
 * users get, and shows what the network is made of, as one would look at it. With `--keep` it stays until Ctrl-C.
 */
import { parseArgs } from "node:util";

import { errorText } from "../../src/base/error.ts";
import { missingRequirements } from "../helpers/require.ts";
import { daemonsReady, installUpstream } from "./flannel.ts";
import { flannelImage } from "./images.ts";
import { dnsManifests } from "./dns.ts";
import { clusterRequirements, createRealCluster } from "./real-cluster.ts";
import type { RealCluster } from "./real-cluster.ts";
import { showNetwork } from "./show.ts";

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...words],
    options: { keep: { type: "boolean", default: false }, proxy: { type: "string", default: "nftables" } },
  });
  const missing = await missingRequirements([...clusterRequirements, "peer:flanneld"]);
  if (missing.length > 0) {
    say(`Cannot bring up a cluster: ${missing.join("; ")}`);
    return 1;
  }
  try {
    await using cluster = await bringUp(values.proxy === "iptables" ? "iptables" : "nftables");
    await showNetwork(cluster, say);
    if (values.keep) await keep(cluster);
    return 0;
  } catch (error) {
    say(error instanceof Error ? error.message : errorText(error));
    return 1;
  }
}

async function bringUp(proxyMode: "iptables" | "nftables"): Promise<RealCluster> {
  const started = Date.now();
  await using made = new AsyncDisposableStack();
  const images = [await flannelImage()];
  const cluster = made.use(await createRealCluster({ nodes: ["2.2", "2.2"], proxyMode, images }));
  say(`control plane and nodes up after ${seconds(started)}`);
  await installUpstream(cluster);
  await cluster.kubectl.apply(...dnsManifests());
  await cluster.nodesReady();
  say(`nodes Ready after ${seconds(started)}`);
  await daemonsReady(cluster);
  await cluster.kubectl.run(["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=90s"]);
  say(`cluster DNS ready after ${seconds(started)}`);
  made.move();
  return cluster;
}

/** Tells how to look at the cluster, and waits for Ctrl-C. */
async function keep(cluster: RealCluster): Promise<void> {
  say("\nThe cluster stays until Ctrl-C. To use it:");
  say(`  alias k='${cluster.kubectl.argv([]).join(" ")}'`);
  for (const node of cluster.nodes) say(`  # a shell on ${node.name}:  ${node.machine.argv(["bash"]).join(" ")}`);
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once("SIGINT", () => resolve());
  process.once("SIGTERM", () => resolve());
  await promise;
  say("\nremoving the cluster");
}

function seconds(started: number): string {
  return `${((Date.now() - started) / 1000).toFixed(1)} s`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/**
 * `npm run cluster`: brings up a real cluster on this machine, installs tartan in it from the manifest and the image that
 * users get, and shows what the network is made of, as one would look at it. With `--keep` it stays until Ctrl-C.
 */
import { parseArgs } from "node:util";

import { errorText } from "../../src/base/error.ts";
import { buildImage, thisArchitecture } from "../helpers/image.ts";
import { missingRequirements } from "../helpers/require.ts";
import { daemonsReady, installOwn, installUpstream } from "./flannel.ts";
import { flannelImage } from "./images.ts";
import { dnsManifests } from "./dns.ts";
import type { ProxyMode } from "./cluster-node.ts";
import { clusterRequirements, createRealCluster } from "./real-cluster.ts";
import type { RealCluster } from "./real-cluster.ts";
import { showNetwork } from "./show.ts";

const usage = `npm run cluster -- [OPTION]...
  --keep              leave the cluster up until Ctrl-C
  --proxy MODE        how kube-proxy programs the kernel, nftables or iptables (default: nftables)
  --upstream          install flannel v0.28.9 with the reference plugins in the place of tartan
  --help              print this
`;

/** What a person asked for. */
interface Wish {
  readonly proxyMode: ProxyMode;
  readonly upstream: boolean;
}

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  try {
    const { values } = parseArgs({
      args: [...words],
      options: {
        keep: { type: "boolean", default: false },
        upstream: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
        proxy: { type: "string", default: "nftables" },
      },
    });
    if (values.help) {
      say(usage);
      return 0;
    }
    const proxyMode = decodeProxyMode(values.proxy);
    const missing = await missingRequirements([
      ...clusterRequirements,
      ...(values.upstream ? (["peer:cni-plugins", "peer:flannel-cni", "peer:flanneld"] as const) : []),
    ]);
    if (missing.length > 0) throw new Error(`Cannot bring up a cluster: ${missing.join("; ")}`);
    await using cluster = await bringUp({ proxyMode, upstream: values.upstream });
    await showNetwork(cluster, say);
    if (values.keep) await keep(cluster);
    return 0;
  } catch (error) {
    say(error instanceof Error ? error.message : errorText(error));
    return 1;
  }
}

function decodeProxyMode(text: string): ProxyMode {
  if (text === "iptables" || text === "nftables") return text;
  throw new Error(`Cannot use --proxy with value "${text}": it must be nftables or iptables`);
}

async function bringUp({ proxyMode, upstream }: Wish): Promise<RealCluster> {
  const images = upstream ? { images: [await flannelImage()] } : { archives: [await ownImage()] };
  const started = Date.now();
  await using made = new AsyncDisposableStack();
  const cluster = made.use(await createRealCluster({ nodes: ["2.2", "2.2"], proxyMode, ...images }));
  say(`control plane and kubelets up after ${seconds(started)}`);
  await (upstream ? installUpstream(cluster) : installOwn(cluster));
  await cluster.kubectl.apply(...dnsManifests());
  await cluster.nodesReady();
  say(`nodes ready after ${seconds(started)}`);
  await daemonsReady(cluster);
  await cluster.kubectl.run(["rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=90s"]);
  say(`cluster DNS ready after ${seconds(started)}`);
  made.move();
  return cluster;
}

async function ownImage(): Promise<string> {
  const { path, printed } = await buildImage(thisArchitecture);
  say(printed.trimEnd());
  return path;
}

/** Tells how to look at the cluster, and waits for Ctrl-C. */
async function keep(cluster: RealCluster): Promise<void> {
  say("\nThe cluster stays until Ctrl-C. To use it:");
  say(`  alias k='${cluster.kubectl.argv([]).join(" ")}'`);
  for (const node of cluster.nodes) say(`  alias ${node.name}='${node.machine.argv([]).join(" ")}'`);
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

/**
 * A real cluster side by side with flannel's: the time from the first kubelet's start until cluster DNS answers, and how
 * long 30 pods made at once take from their creation until they run, with the plugins' share of it and where the rest goes.
 *
 *     npm run bench -- cluster      as root, with the Go peers built (npm test builds them)
 *
 * The two take turns, with a new cluster each time. Pods are made when the nodes are of the same age with both, so that
 * what a cluster does in its first seconds counts for neither. Exit 1 when a bound of the project is missed.
 */
import { daemonsReady, installOwn, installUpstream } from "../test/cluster/flannel.ts";
import { dnsManifests } from "../test/cluster/dns.ts";
import { addresses } from "../test/cluster/addresses.ts";
import { flannelImage } from "../test/cluster/images.ts";
import { PodWatch } from "../test/cluster/pod-watch.ts";
import { deletePods, podManifest } from "../test/cluster/pods.ts";
import { createRealCluster } from "../test/cluster/real-cluster.ts";
import type { RealCluster } from "../test/cluster/real-cluster.ts";
import { buildImage, thisArchitecture } from "../test/helpers/image.ts";
import { waitUntil } from "../test/helpers/wait-until.ts";
import { countsBetween, describeParts, meanStep, pluginStep, readCounts } from "./cluster-parts.ts";
import { quantile } from "./runner.ts";

type Network = "flannel" | "tartan";

/** What one cluster took, in seconds. */
interface Sample {
  readonly dns: number;
  readonly crowds: readonly Crowd[];
}

/** Pods made at once, in seconds. */
interface Crowd {
  readonly pods: readonly number[];
  /** Of the plugins, the mean of one pod's ADD as the runtime sees it. */
  readonly plugin: number;
}

const podCount = 30;
/** In one cluster: what a node holds in memory after the first need not be there at the first. */
const crowdCount = Number(process.env["TARTAN_BENCH_CROWDS"] ?? 3);
/** Of the nodes when the first pods are made, in seconds. */
const ageS = Number(process.env["TARTAN_BENCH_AGE"] ?? 45);
const restMs = 5000;
const rounds = Number(process.env["TARTAN_BENCH_ROUNDS"] ?? 3);
/** Of flannel's time, at most. */
const bounds = { dns: 0.7, pods: 1 } as const;
const networks = ["flannel", "tartan"] as const;

const archive = (await buildImage(thisArchitecture)).path;
const samples: Record<Network, Sample[]> = { flannel: [], tartan: [] };
for (let round = 0; round < rounds; round++) {
  for (const network of round % 2 === 0 ? networks : networks.toReversed()) {
    const sample = await measure(network);
    samples[network].push(sample);
    say(`round ${round + 1}, ${network}`, describe([sample]));
  }
}
for (const network of networks) say(`all, ${network}`, describe(samples[network]));
// Crowd by crowd, as the machine is not as busy with others' work all the time.
const crowdRatios = crowdMedians(samples.tartan).map(
  (median, index) => median / (crowdMedians(samples.flannel)[index] ?? Number.NaN),
);
const parts = {
  dns: dnsMedian(samples.tartan) / dnsMedian(samples.flannel),
  pods: quantile(crowdRatios, 0.5),
  plugin: pluginMedian(samples.tartan) / pluginMedian(samples.flannel),
};
say("DNS, of flannel's", `${parts.dns.toFixed(2)} × (wanted at most ${bounds.dns})`);
say("pods, of flannel's", `${parts.pods.toFixed(2)} × (wanted at most ${bounds.pods}): ${listOf(crowdRatios, 2)}`);
say("plugins, of flannel's", `${parts.plugin.toFixed(2)} ×`);
process.exit(parts.dns <= bounds.dns && parts.pods <= bounds.pods ? 0 : 1);

async function measure(network: Network): Promise<Sample> {
  const images = network === "tartan" ? { archives: [archive] } : { images: [await flannelImage()] };
  const nodes = ["2.2", "2.2"] as const;
  await using cluster = await createRealCluster({ nodes, proxyMode: "nftables", nodesLater: true, ...images });
  await (network === "tartan" ? installOwn(cluster) : installUpstream(cluster));
  await cluster.kubectl.apply(...dnsManifests());
  const started = performance.now();
  await cluster.startNodes();
  await waitUntil("cluster DNS answers", () => dnsAnswers(cluster), 120_000);
  const dns = (performance.now() - started) / 1000;
  await cluster.nodesReady();
  await daemonsReady(cluster);
  await Bun.sleep(Math.max(0, ageS * 1000 - (performance.now() - started)));
  const crowds: Crowd[] = [];
  for (let crowd = 1; crowd <= crowdCount; crowd++) {
    crowds.push(await measureCrowd(cluster, `${network}, crowd ${crowd}`));
  }
  return { dns, crowds };
}

async function dnsAnswers(cluster: RealCluster): Promise<boolean> {
  const lookUp = ["timeout", "1", "busybox", "nslookup", "kubernetes.default.svc.cluster.local", addresses.dnsService];
  const { stdout } = await cluster.node(1).run(lookUp, { exitCode: "any" });
  return stdout.includes(addresses.apiService);
}

/** Makes pods, all at once on one node, and returns the seconds until each was seen to run. */
async function measureCrowd(cluster: RealCluster, name: string): Promise<Crowd> {
  const { kubectl } = cluster;
  const node = cluster.node(1);
  const specs = Array.from({ length: podCount }, (_, index) => ({ name: `pod-${index}`, node: node.name }));
  const before = await readCounts(cluster, node);
  const pods: number[] = [];
  await using watch = new PodWatch(kubectl);
  const created = performance.now();
  await kubectl.apply(...specs.map(podManifest));
  await watch.untilRunning(podCount, async () => void pods.push((performance.now() - created) / 1000), 120_000);
  const counts = countsBetween(before, await readCounts(cluster, node));
  say(name, `p50 ${quantile(pods, 0.5).toFixed(2)} s, p99 ${quantile(pods, 0.99).toFixed(2)} s`);
  for (const line of describeParts(counts, podCount)) say("", line);
  await deletePods(kubectl, specs);
  await Bun.sleep(restMs);
  return { pods, plugin: meanStep(counts, pluginStep) };
}

function describe(of: readonly Sample[]): string {
  const pods = of.flatMap(({ crowds }) => crowds.flatMap((crowd) => crowd.pods));
  return [
    `DNS answers after ${dnsMedian(of).toFixed(1)} s`,
    `pods created to running p50 ${quantile(pods, 0.5).toFixed(2)} s (${listOf(crowdMedians(of), 1)})`,
    `p99 ${quantile(pods, 0.99).toFixed(2)} s`,
    `of it plugins ${(pluginMedian(of) * 1000).toFixed(0)} ms`,
  ].join("; ");
}

/** Of each crowd, in the order in which they were made. */
function crowdMedians(of: readonly Sample[]): readonly number[] {
  return of.flatMap(({ crowds }) => crowds.map(({ pods }) => quantile(pods, 0.5)));
}

function listOf(numbers: readonly number[], digits: number): string {
  return numbers.map((number) => number.toFixed(digits)).join(", ");
}

function dnsMedian(of: readonly Sample[]): number {
  return quantile(
    of.map(({ dns }) => dns),
    0.5,
  );
}

function pluginMedian(of: readonly Sample[]): number {
  return quantile(
    of.flatMap(({ crowds }) => crowds.map(({ plugin }) => plugin)),
    0.5,
  );
}

function say(what: string, value: string): void {
  process.stdout.write(`${what.padEnd(22)} ${value}\n`);
}

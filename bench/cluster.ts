/**
 * A real cluster side by side with flannel's: the time from the first kubelet's start until cluster DNS answers, and how
 * long 30 pods made at once take from their creation until they run, with the plugins' share of it.
 *
 *     npm run bench -- cluster      as root, with the Go peers built (npm test builds them)
 *
 * The two take turns, with a new cluster each time. Exit 1 when a bound of the project is missed.
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
import { quantile } from "./runner.ts";

type Network = "flannel" | "tartan";

/** What one cluster took, in seconds. */
interface Sample {
  readonly dns: number;
  readonly pods: readonly number[];
  /** Of the plugins, the mean of one pod's ADD as the runtime sees it. */
  readonly plugin: number;
}

const podCount = 30;
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
const parts = {
  dns: dnsMedian(samples.tartan) / dnsMedian(samples.flannel),
  pods: podMedian(samples.tartan) / podMedian(samples.flannel),
  plugin: pluginMedian(samples.tartan) / pluginMedian(samples.flannel),
};
say("DNS, of flannel's", `${parts.dns.toFixed(2)} × (wanted at most ${bounds.dns})`);
say("pods, of flannel's", `${parts.pods.toFixed(2)} × (wanted at most ${bounds.pods})`);
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
  await Bun.sleep(3000);
  return { dns, ...(await measurePods(cluster)) };
}

async function dnsAnswers(cluster: RealCluster): Promise<boolean> {
  const lookUp = ["timeout", "1", "busybox", "nslookup", "kubernetes.default.svc.cluster.local", addresses.dnsService];
  const { stdout } = await cluster.node(1).run(lookUp, { exitCode: "any" });
  return stdout.includes(addresses.apiService);
}

async function measurePods(cluster: RealCluster): Promise<Pick<Sample, "plugin" | "pods">> {
  const { kubectl } = cluster;
  const specs = Array.from({ length: podCount }, (_, index) => ({ name: `pod-${index}`, node: "node1" }));
  const before = await pluginTime(cluster);
  const pods: number[] = [];
  await using watch = new PodWatch(kubectl);
  const created = performance.now();
  await kubectl.apply(...specs.map(podManifest));
  await watch.untilRunning(podCount, async () => void pods.push((performance.now() - created) / 1000), 120_000);
  const after = await pluginTime(cluster);
  await deletePods(kubectl, specs);
  return { pods, plugin: (after.seconds - before.seconds) / (after.count - before.count) };
}

/** What the runtime of node1 has spent in plugins to give pods their network. */
async function pluginTime(cluster: RealCluster): Promise<{ readonly seconds: number; readonly count: number }> {
  const get = `exec 3<>/dev/tcp/127.0.0.1/1338 && printf 'GET /v1/metrics HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
  const { stdout } = await cluster.node(1).run(["bash", "-c", get]);
  const lines = stdout.split("\n").filter((line) => line.includes("network_plugin_operations_duration"));
  return { seconds: metric(lines, "_sum"), count: metric(lines, "_count") };
}

function metric(lines: readonly string[], suffix: string): number {
  const line = lines.find((text) => text.includes(`${suffix}{`) && /set_?up/i.test(text));
  return Number(line?.split(" ").at(-1) ?? 0);
}

function describe(of: readonly Sample[]): string {
  const pods = of.flatMap((sample) => sample.pods);
  return [
    `DNS answers after ${dnsMedian(of).toFixed(1)} s`,
    `pod created to running p50 ${quantile(pods, 0.5).toFixed(2)} s, p99 ${quantile(pods, 0.99).toFixed(2)} s`,
    `of it plugins ${(pluginMedian(of) * 1000).toFixed(0)} ms`,
  ].join("; ");
}

function podMedian(of: readonly Sample[]): number {
  const pods = of.flatMap((sample) => sample.pods);
  return quantile(pods, 0.5);
}

function dnsMedian(of: readonly Sample[]): number {
  return quantile(
    of.map(({ dns }) => dns),
    0.5,
  );
}

function pluginMedian(of: readonly Sample[]): number {
  return quantile(
    of.map(({ plugin }) => plugin),
    0.5,
  );
}

function say(what: string, value: string): void {
  process.stdout.write(`${what.padEnd(22)} ${value}\n`);
}

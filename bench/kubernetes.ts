/**
 * flanneld of tartan beside flanneld v0.28.9 in a Kubernetes cluster of 5,000 nodes of real size, on a real API server:
 * from the start to the last route, memory, CPU; 5,000 status updates; and memory with two nodes.
 *
 *     npm run bench -- kubernetes      as root, with the Go peers built (npm test builds them)
 *
 * Both run as they do in a pod, with a service account, one after the other in turn; the updates reach both at once. Exit 1
 * when a bound of the project is missed.
 */
import { readFile, rm } from "node:fs/promises";

import type { BackgroundProcess } from "../test/helpers/background.ts";
import type { ClusterNode } from "../test/helpers/cluster.ts";
import { createKubeCluster, type KubeCluster } from "../test/helpers/kube-cluster.ts";
import { peerProgram } from "../test/helpers/peers.ts";
import { createSyntheticNodes, syntheticNames, touchNode } from "../test/helpers/synthetic-nodes.ts";
import { quantile } from "./runner.ts";

const nodeCount = Number(process.env["TARTAN_BENCH_NODES"] ?? 5000);
const rounds = Number(process.env["TARTAN_BENCH_ROUNDS"] ?? 5);
const restMs = 10_000;
/** Of /proc/PID/stat: sysconf(_SC_CLK_TCK), 100 on Linux. */
const ticksPerSecond = 100;
const network = '{"Network":"10.0.0.0/8","EnableNFTables":true,"Backend":{"Type":"vxlan"}}';

/** What one start of a daemon came to. */
interface Start {
  readonly seconds: number;
  readonly peak: number;
  readonly rest: number;
  readonly cpu: number;
}

type Starter = () => BackgroundProcess;

interface Starters {
  readonly ours: Starter;
  readonly theirs: Starter;
}

process.exit(await run());

async function run(): Promise<number> {
  await using kube = await createKubeCluster(2);
  const [left, right] = [kube.node(1), kube.node(2)];
  await kube.store.writeConfig(network);
  // flanneld v0.28.9 panics on a node without any annotation.
  for (const node of [left, right]) await kube.register(node, { "example.com/any": "thing" });
  const starters: Starters = {
    ours: () => kube.start(left, ["--iface=eth0", "--iptables-forward-rules=false"]),
    theirs: () => startUpstream(kube, right),
  };
  const bounds = new Bounds();
  await compareIdle(starters, bounds);
  const made = performance.now();
  await createSyntheticNodes(kube.server, nodeCount);
  say(
    `${nodeCount} nodes made in ${((performance.now() - made) / 1000).toFixed(0)} s, ${await nodeSize(kube)} bytes of JSON each`,
  );
  const starts: { ours: Start[]; theirs: Start[] } = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round++) {
    // What disturbs the machine disturbs both.
    const order = round % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const);
    for (const who of order) {
      const node = who === "ours" ? left : right;
      const start = await measureStart(kube, node, starters[who]);
      starts[who].push(start);
      say(`round ${round + 1}, ${who.padEnd(6)} ${describeStart(start)}`);
    }
  }
  bounds.compare("start to the last route, s", medianOf(starts, "seconds"), 0.2);
  bounds.compare("peak memory (VmHWM), MB", medianOf(starts, "peak"), 0.3);
  bounds.compare(`memory ${restMs / 1000} s later (VmRSS), MB`, medianOf(starts, "rest"), 0.3);
  bounds.compare("CPU for the start, s", medianOf(starts, "cpu"), 0.15);
  await compareUpdates(kube, starters, bounds);
  return bounds.missed === 0 ? 0 : 1;
}

/** Compares two figures and counts the bounds that are missed. */
class Bounds {
  missed = 0;

  compare(what: string, [ours, theirs]: readonly [ours: number, theirs: number], bound: number): void {
    const ratio = ours / theirs;
    const verdict = ratio <= bound ? "" : "   MISSED";
    if (verdict !== "") this.missed++;
    say(
      `${what.padEnd(42)} ${ours.toFixed(2).padStart(8)} ${theirs.toFixed(2).padStart(8)} ${ratio.toFixed(3).padStart(7)} (wanted ${bound})${verdict}`,
    );
  }
}

function startUpstream(kube: KubeCluster, node: ClusterNode): BackgroundProcess {
  const words = ["--kube-subnet-mgr", "--net-config-path", kube.store.netConfPath, "--iface=eth0"];
  const files = ["--subnet-file", node.subnetFile, "--iptables-forward-rules=false"];
  return kube.startProgram(node, [peerProgram("flanneld", "flanneld"), ...words, ...files]);
}

async function compareIdle({ ours, theirs }: Starters, bounds: Bounds): Promise<void> {
  await using mine = ours();
  await using upstream = theirs();
  await Bun.sleep(20_000);
  bounds.compare(
    "two nodes: memory (VmRSS), MB",
    [await megabytes(mine, "VmRSS"), await megabytes(upstream, "VmRSS")],
    0.9,
  );
}

async function measureStart(kube: KubeCluster, node: ClusterNode, start: Starter): Promise<Start> {
  await node.netns.run(["ip", "link", "delete", "flannel.1"], { exitCode: "any" });
  await rm(kube.cluster.directory.join(kube.nameOf(node), "state"), { recursive: true, force: true });
  const before = readRouteCount((await node.netns.run(["cat", "/proc/net/fib_triestat"])).stdout);
  const began = performance.now();
  await using daemon = start();
  // All nodes but the two that are here, and the other one of those.
  while ((await routeCount(daemon)) < before + nodeCount + 1) {
    if (daemon.exitCode !== undefined || performance.now() - began > 120_000) {
      throw new Error(
        `Cannot measure the start: ${await routeCount(daemon)} routes\n${daemon.describe().slice(-3000)}`,
      );
    }
    await Bun.sleep(10);
  }
  const seconds = (performance.now() - began) / 1000;
  await Bun.sleep(restMs);
  const [peak, rest] = [await megabytes(daemon, "VmHWM"), await megabytes(daemon, "VmRSS")];
  return { seconds, peak, rest, cpu: await cpuSeconds(daemon) };
}

async function compareUpdates(kube: KubeCluster, { ours, theirs }: Starters, bounds: Bounds): Promise<void> {
  await using mine = ours();
  await using upstream = theirs();
  await Bun.sleep(restMs);
  const before = [await cpuSeconds(mine), await cpuSeconds(upstream)] as const;
  const began = performance.now();
  for (const name of syntheticNames(nodeCount)) await touchNode(kube.server, name);
  await Bun.sleep(1000);
  const [one, two] = [(await cpuSeconds(mine)) - before[0], (await cpuSeconds(upstream)) - before[1]];
  say(`${nodeCount} status updates in ${((performance.now() - began) / 1000).toFixed(0)} s`);
  bounds.compare(`CPU for ${nodeCount} status updates, s`, [one, two], 0.5);
  bounds.compare(
    "memory after them (VmRSS), MB",
    [await megabytes(mine, "VmRSS"), await megabytes(upstream, "VmRSS")],
    0.3,
  );
}

/**
 * The leaves of the routing trie where a daemon runs: to list 5,000 routes would disturb what is measured, and so would a
 * program started a hundred times a second.
 */
async function routeCount({ pid }: BackgroundProcess): Promise<number> {
  return readRouteCount(await readFile(`/proc/${pid}/net/fib_triestat`, "utf8"));
}

function readRouteCount(text: string): number {
  const main = /^Main:[^]*?Prefixes:\s+(\d+)/m.exec(text)?.[1];
  return Number(main ?? 0);
}

async function megabytes({ pid }: BackgroundProcess, key: "VmHWM" | "VmRSS"): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) / 1024;
}

/** User and system time, also of children that were waited for. */
async function cpuSeconds({ pid }: BackgroundProcess): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0) / ticksPerSecond;
}

async function nodeSize(kube: KubeCluster): Promise<number> {
  const [name = ""] = syntheticNames(1);
  return JSON.stringify(await kube.server.ask("GET", `/api/v1/nodes/${name}`)).length;
}

function medianOf(
  starts: { ours: readonly Start[]; theirs: readonly Start[] },
  key: keyof Start,
): readonly [number, number] {
  return [
    quantile(
      starts.ours.map((start) => start[key]),
      0.5,
    ),
    quantile(
      starts.theirs.map((start) => start[key]),
      0.5,
    ),
  ];
}

function describeStart({ seconds, peak, rest, cpu }: Start): string {
  return `${seconds.toFixed(2)} s to the last route, ${peak.toFixed(0)} MB peak, ${rest.toFixed(0)} MB at rest, ${cpu.toFixed(2)} s of CPU`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

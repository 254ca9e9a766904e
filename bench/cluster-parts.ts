/** Where the time of many pods at once goes on a node: what its kubelet and its runtime count, and who used the processors. */
import { existsSync, readdirSync, readFileSync } from "node:fs";

import type { RealNode } from "../test/cluster/cluster-node.ts";
import type { RealCluster } from "../test/cluster/real-cluster.ts";

/** The steps of a pod's start, each with the metric that has it: the mean of one pod. */
const steps = {
  "kubelet: sandbox": 'kubelet_runtime_operations_duration_seconds{operation_type="run_podsandbox"}',
  "containerd: network": "containerd_cri_sandbox_create_network_seconds",
  "containerd: sandbox": 'containerd_cri_sandbox_runtime_create_seconds{runtime="io.containerd.runc.v2"}',
  "kubelet: container made": 'kubelet_runtime_operations_duration_seconds{operation_type="create_container"}',
  "kubelet: container started": 'kubelet_runtime_operations_duration_seconds{operation_type="start_container"}',
} as const;

/** The step in which the plugins run. */
export const pluginStep = "containerd: network";

/** Clock ticks of /proc, the same on every Linux. */
const ticksPerSecond = 100;

/** What has been counted since the node's start; each in its own unit. */
export type Counts = ReadonlyMap<string, number>;

/** Reads all counters of a node. */
export async function readCounts(cluster: RealCluster, node: RealNode): Promise<Counts> {
  const text = `${await containerdMetrics(node)}\n${await kubeletMetrics(cluster, node)}`;
  const metrics = new Map(text.split("\n").map((line) => splitAtLastBlank(line)));
  const counts = new Map<string, number>();
  for (const [step, metric] of Object.entries(steps)) {
    counts.set(`${step} s`, metrics.get(withSuffix(metric, "_sum")) ?? Number.NaN);
    counts.set(`${step} n`, metrics.get(withSuffix(metric, "_count")) ?? Number.NaN);
  }
  for (const [who, seconds] of processorTimes(node)) counts.set(`CPU: ${who}`, seconds);
  const [, user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softirq = 0] = statLine();
  counts.set("CPU: whole machine", (user + nice + system + irq + softirq) / ticksPerSecond);
  counts.set("machine idle s", idle / ticksPerSecond);
  counts.set("machine waits for the disk s", waiting / ticksPerSecond);
  counts.set("read MB", vmCounter("pgpgin") / 1024);
  counts.set("written MB", vmCounter("pgpgout") / 1024);
  return counts;
}

/** What came in between. */
export function countsBetween(before: Counts, after: Counts): Counts {
  return new Map([...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)]));
}

/** As lines: milliseconds of one pod for the steps and the processors, the rest as it is. */
export function describeParts(counts: Counts, pods: number): readonly string[] {
  const means = Object.keys(steps).map((step) => `${step} ${milliseconds(meanStep(counts, step))}`);
  const processors = [...counts].filter(([name]) => name.startsWith("CPU: "));
  const shares = processors.map(([name, value]) => `${name.slice("CPU: ".length)} ${milliseconds(value / pods)}`);
  const rest = [...counts].filter(([name]) => /^(?:machine|read|written)/.test(name));
  return [
    `a pod's steps, ms: ${means.join(", ")}`,
    `CPU of one pod, ms: ${shares.join(", ")}`,
    rest.map(([name, value]) => `${name} ${value.toFixed(1)}`).join(", "),
  ];
}

/** What a step took on average, in seconds. */
export function meanStep(counts: Counts, step: string): number {
  return (counts.get(`${step} s`) ?? Number.NaN) / (counts.get(`${step} n`) ?? Number.NaN);
}

function milliseconds(seconds: number): string {
  return (seconds * 1000).toFixed(0);
}

async function containerdMetrics(node: RealNode): Promise<string> {
  const get = `exec 3<>/dev/tcp/127.0.0.1/1338 && printf 'GET /v1/metrics HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
  return (await node.run(["bash", "-c", get])).stdout;
}

async function kubeletMetrics({ kubectl }: RealCluster, { name }: RealNode): Promise<string> {
  return await kubectl.text(["get", "--raw", `/api/v1/nodes/${name}/proxy/metrics`]);
}

function withSuffix(metric: string, suffix: string): string {
  const [name = "", labels] = metric.split("{");
  return labels === undefined ? `${name}${suffix}` : `${name}${suffix}{${labels}`;
}

function splitAtLastBlank(line: string): readonly [string, number] {
  const blank = line.lastIndexOf(" ");
  return [line.slice(0, blank), Number(line.slice(blank + 1))];
}

/** Seconds by who used them: long-lived programs of the node, what they have waited for, and the node as a whole. */
function processorTimes(node: RealNode): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  function add(who: string, ticks: number): void {
    times.set(who, (times.get(who) ?? 0) + ticks / ticksPerSecond);
  }

  for (const { name, own, children } of nodeProcesses(node)) {
    if (name === "containerd") {
      add("containerd", own);
      // Plugins, and the starts of shims.
      add("plugins", children);
    } else if (name.startsWith("containerd-shim")) {
      add("shims and runc", own + children);
    } else if (/^(?:kubelet|kube-proxy)$/.test(name)) {
      add(name, own + children);
    } else if (/^(?:flanneld|tartan|exe)$/.test(name)) {
      add("daemon", own + children);
    }
  }
  times.set("node", cgroupSeconds(node.machine.cgroup));
  return times;
}

interface ProcessTimes {
  readonly name: string;
  readonly own: number;
  /** Of children that have ended and were waited for. */
  readonly children: number;
}

/** The processes of a node that are there. */
function nodeProcesses(node: RealNode): readonly ProcessTimes[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`/${node.machine.cgroup}`)) return [];
        return [parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"))];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
}

/** proc_pid_stat(5): the name in parentheses, then numbers. */
function parseStat(text: string): ProcessTimes {
  const end = text.lastIndexOf(")");
  const fields = text
    .slice(end + 2)
    .split(" ")
    .map(Number);
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11);
  return { name: text.slice(text.indexOf("(") + 1, end), own: utime + stime, children: cutime + cstime };
}

/** What all processes of a cgroup have used, in either version of cgroups. */
function cgroupSeconds(name: string): number {
  const old = `/sys/fs/cgroup/cpuacct/${name}/cpuacct.usage`;
  if (existsSync(old)) return Number(readFileSync(old, "utf8")) / 1e9;
  const text = readFileSync(`/sys/fs/cgroup/${name}/cpu.stat`, "utf8");
  return Number(/usage_usec (\d+)/.exec(text)?.[1]) / 1e6;
}

/** The first line of /proc/stat: its name, then user, nice, system, idle, iowait, irq, softirq, … */
function statLine(): readonly number[] {
  return (readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "").split(/\s+/).map(Number);
}

function vmCounter(name: string): number {
  return Number(new RegExp(`^${name} (\\d+)`, "m").exec(readFileSync("/proc/vmstat", "utf8"))?.[1]);
}

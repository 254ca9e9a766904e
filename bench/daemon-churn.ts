/**
 * What the daemon costs beside 5,000 peers: the time until it is ready, its CPU when nothing happens, while 20 pods are
 * added and removed each second (veth pairs on a bridge, as the plugin makes them), and while leases change.
 *
 *     npm run build && bun bench/daemon-churn.ts      as root; makes network namespaces of its own
 *
 * Exit 1 when the pods cost 5 % of a core or more.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { startProcess } from "../test/helpers/background.ts";
import { executablePath } from "../test/helpers/executable.ts";
import { createNetns, type TestNetns } from "../test/helpers/netns.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../test/helpers/temp.ts";

const peerCount = 5000;
const podsPerSecond = 20;
const seconds = 20;
/** Of one core, in percent. */
const limit = 5;
/** Of /proc/PID/stat: sysconf(_SC_CLK_TCK), 100 on Linux. */
const ticksPerSecond = 100;

process.exit(await run());

async function run(): Promise<number> {
  await using directory = await createTemporaryDirectory();
  await using node = await createNetns({ loopbackUp: true });
  await using pod = await createNetns();
  await makeNode(node);
  await writeLeases(directory);
  const start = performance.now();
  const words = [
    "flanneld",
    "--lease-dir",
    directory.path,
    "--iface",
    "eth0",
    "--subnet-file",
    directory.join("subnet.env"),
  ];
  await using daemon = startProcess(node.argv([executablePath, ...words]));
  await daemon.waitUntil("subnet.env is written", () => daemon.stderr.includes("subnet.env"), 60_000);
  say(
    `${peerCount} peers programmed`,
    `${((performance.now() - start) / 1000).toFixed(2)} s, ${(await cpuTicks(daemon.pid)) / ticksPerSecond} s of CPU`,
  );
  await Bun.sleep(3000);
  say("resident memory", `${await residentMegabytes(daemon.pid)} MB`);
  say("idle", `${(await percentDuring(daemon.pid, () => Bun.sleep(10_000))).toFixed(2)} % of a core`);
  const pods = await percentDuring(daemon.pid, () => churnPods(node, pod));
  say(`${podsPerSecond} pods added and removed per second`, `${pods.toFixed(2)} % of a core (wanted below ${limit} %)`);
  const leases = await percentDuring(daemon.pid, () => changeLeases(directory));
  say("one lease changed per second", `${leases.toFixed(2)} % of a core`);
  say("resident memory", `${await residentMegabytes(daemon.pid)} MB`);
  return pods < limit ? 0 : 1;
}

async function makeNode(node: TestNetns): Promise<void> {
  await node.ip("link", "add", "eth0", "type", "veth", "peer", "name", "wire");
  await node.ip("addr", "add", "192.168.0.1/16", "dev", "eth0");
  await node.ip("link", "set", "eth0", "up");
  await node.ip("link", "set", "wire", "up");
  await node.ip("link", "add", "cni0", "type", "bridge");
  await node.ip("link", "set", "cni0", "up");
}

async function writeLeases(directory: TemporaryDirectory): Promise<void> {
  await directory.write("config", JSON.stringify({ Network: "10.0.0.0/8", SubnetLen: 24, Backend: { Type: "vxlan" } }));
  await mkdir(directory.join("subnets"));
  for (let peer = 0; peer < peerCount; peer++) await writeLease(directory, peer, 0);
}

function writeLease(directory: TemporaryDirectory, peer: number, generation: number): Promise<void> {
  const [high, low] = [peer >> 8, peer & 0xff];
  const mac = [2, generation & 0xff, 0, 0, high, low].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  const lease = {
    PublicIP: `192.168.${100 + high}.${low}`,
    BackendType: "vxlan",
    BackendData: { VNI: 1, VtepMAC: mac },
  };
  return writeFile(directory.join("subnets", `10.${100 + high}.${low}.0-24`), JSON.stringify(lease));
}

/** Adds and removes as many pods as the second has places for, evenly. */
async function churnPods(node: TestNetns, pod: TestNetns): Promise<void> {
  const batch = Bun.spawn(["ip", "-n", node.name, "-force", "-batch", "-"], { stdin: "pipe", stdout: "ignore" });
  const begin = performance.now();
  for (let count = 0; count < podsPerSecond * seconds; count++) {
    const name = `veth${count}`;
    await batch.stdin.write(
      `link add ${name} mtu 1450 type veth peer name eth0 mtu 1450 netns ${pod.name}\n` +
        `link set ${name} master cni0 up\n` +
        `link set ${name} type bridge_slave hairpin on\n`,
    );
    await batch.stdin.flush();
    await Bun.sleep(Math.max(0, begin + ((count + 0.5) * 1000) / podsPerSecond - performance.now()));
    await batch.stdin.write(`link delete ${name}\n`);
    await batch.stdin.flush();
    await Bun.sleep(Math.max(0, begin + ((count + 1) * 1000) / podsPerSecond - performance.now()));
  }
  await batch.stdin.end();
  if ((await batch.exited) !== 0) throw new Error("Cannot add and remove pods: ip refused a command");
}

async function changeLeases(directory: TemporaryDirectory): Promise<void> {
  for (let second = 1; second <= seconds; second++) {
    await writeLease(directory, second, second);
    await Bun.sleep(1000);
  }
}

/** CPU of a process while the work goes on, in percent of one core. */
async function percentDuring(pid: number, work: () => Promise<void>): Promise<number> {
  const [begin, before] = [performance.now(), await cpuTicks(pid)];
  await work();
  const ticks = (await cpuTicks(pid)) - before;
  return (ticks / ticksPerSecond / ((performance.now() - begin) / 1000)) * 100;
}

/** utime and stime, the fourteenth and fifteenth field; the second, the name, may hold blanks. */
async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
}

function say(what: string, result: string): void {
  process.stdout.write(`${what.padEnd(45)} ${result}\n`);
}

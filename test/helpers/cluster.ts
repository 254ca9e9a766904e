import { readdir, readFile, rename, rm } from "node:fs/promises";
import type { BackgroundProcess } from "./background.ts";
import type { CommandResult } from "./command.ts";
import { executablePath } from "./executable.ts";
import { askHealth, type Readiness } from "./health.ts";
import { listAddresses, listForwarding, listNeighbours, listRoutes } from "./kernel.ts";
import { createNetns, type TestNetns } from "./netns.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "./temp.ts";
import { waitUntil } from "./wait-until.ts";

const healthPort = 8081;
/** A lease as a test reads it from its file. */
export interface LeaseFile {
  readonly subnet: string;
  /** The subnet's first address: the VTEP's own. */
  readonly base: string;
  readonly publicIp: string;
  readonly mac: string;
}

/** A node: a network namespace with `eth0` on the cluster's wire, a default route, and perhaps a running daemon. */
export class ClusterNode implements AsyncDisposable {
  readonly netns: TestNetns;
  readonly publicIp: string;
  readonly subnetFile: string;
  readonly #cluster: Cluster;
  readonly #number: number;
  #daemons: BackgroundProcess[] = [];

  constructor(cluster: Cluster, netns: TestNetns, number: number) {
    this.netns = netns;
    this.publicIp = `192.168.1.${number}`;
    this.subnetFile = cluster.directory.join(`node${number}`, "subnet.env");
    this.#cluster = cluster;
    this.#number = number;
  }

  /** The daemon that was started last. */
  get daemon(): BackgroundProcess {
    const daemon = this.#daemons.at(-1);
    if (daemon === undefined) throw new Error("Cannot find the daemon: none was started on this node");
    return daemon;
  }

  /** What the daemon has written to its log so far. */
  get log(): string {
    return this.daemon.stderr;
  }

  /** Joins the node to the wire; again after its interface was deleted. */
  async plug(): Promise<void> {
    const port = `port${this.#number}`;
    await this.netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", this.#cluster.wire.name);
    await this.#cluster.wire.ip("link", "set", port, "master", "br0", "up");
    await this.netns.ip("address", "add", `${this.publicIp}/24`, "dev", "eth0");
    await this.netns.ip("link", "set", "eth0", "up");
    await this.netns.ip("route", "add", "default", "via", "192.168.1.254");
  }

  /** Starts a daemon with the cluster's lease directory; what is given goes behind the flags that every node has. */
  start(flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}): BackgroundProcess {
    return this.startFrom(["--lease-dir", this.#cluster.leases], flags, { env });
  }

  /** Starts a daemon whose leases come from where the first flags say, perhaps within a command that prepares that. */
  startFrom(
    source: readonly string[],
    flags: readonly string[],
    options: { readonly env?: Readonly<Record<string, string>>; readonly within?: readonly string[] } = {},
  ): BackgroundProcess {
    const health = ["--healthz-ip", "127.0.0.1", "--healthz-port", String(healthPort)];
    const words = [...source, "--subnet-file", this.subnetFile, ...health, ...flags];
    const argv = [...(options.within ?? []), executablePath, "flanneld", ...words];
    const daemon = this.netns.start(argv, options.env === undefined ? {} : { env: options.env });
    this.#daemons.push(daemon);
    return daemon;
  }

  /** Starts a daemon and waits until it is ready. */
  async startReady(flags: readonly string[] = []): Promise<BackgroundProcess> {
    const daemon = this.start(flags);
    await daemon.waitUntil("the daemon is ready", async () => (await this.readiness()).status === 200);
    return daemon;
  }

  /** Runs the daemon where it must end by itself. */
  run(flags: readonly string[], options: { exitCode?: number; env?: Record<string, string> }): Promise<CommandResult> {
    return this.netns.run([executablePath, "flanneld", ...flags], options);
  }

  /** Asks /readyz, or another path. */
  readiness(path = "/readyz"): Promise<Readiness> {
    return askHealth(this.netns, healthPort, path);
  }

  /** Waits for a line of the daemon's log. */
  async logged(pattern: RegExp, timeoutMs?: number): Promise<void> {
    await this.daemon.waitUntil(`the log has ${String(pattern)}`, () => pattern.test(this.log), timeoutMs);
  }

  /** This node's lease. */
  async lease(): Promise<LeaseFile> {
    const lease = (await this.#cluster.listLeases()).find(({ publicIp }) => publicIp === this.publicIp);
    if (lease === undefined) throw new Error(`Cannot find the lease of ${this.publicIp}: there is none`);
    return lease;
  }

  /** All that hangs on flannel.1, as sorted lines: what a daemon repairs. */
  async overlay(device = "flannel.1"): Promise<readonly string[]> {
    const links = await this.netns.run(["ip", "-o", "link", "show", "dev", device], { exitCode: "any" });
    if (links.exitCode !== 0) return [];
    const [, flags = "", mtu = ""] = /<([^>]*)> mtu (\d+)/.exec(links.stdout) ?? [];
    const mac = /link\/ether (\S+)/.exec(links.stdout)?.[1] ?? "";
    const addresses = (await listAddresses(this.netns)).filter((address) => address.device === device);
    const routes = (await listRoutes(this.netns)).filter((route) => route.device === device);
    const neighbours = (await listNeighbours(this.netns)).filter((entry) => entry.device === device);
    const forwarding = await this.#forwarding(device);
    return [
      `link ${mac} mtu ${mtu} ${flags.split(",").includes("UP") ? "up" : "down"}`,
      ...addresses.map(({ address }) => `address ${address}`),
      ...routes.map(
        (route) => `route ${route.destination} via ${route.gateway} proto ${route.protocol} ${route.flags.join()}`,
      ),
      ...neighbours
        .filter(({ state }) => state.includes("PERMANENT"))
        .map(({ destination, mac: peer }) => `neigh ${destination} lladdr ${peer}`),
      ...forwarding.map(
        ({ mac: peer, destination, state }) => `fdb ${peer} dst ${destination} ${state.toSorted().join()}`,
      ),
    ].toSorted();
  }

  /** `bridge` fails where the device goes while it looks, which is no failure of the daemon. */
  async #forwarding(device: string): ReturnType<typeof listForwarding> {
    try {
      return await listForwarding(this.netns, device);
    } catch (error) {
      if (!String(error).includes("Cannot find device")) throw error;
      return [];
    }
  }

  /** True when one ping comes back. */
  async pings(address: string): Promise<boolean> {
    const { exitCode } = await this.netns.run(["ping", "-c", "1", "-W", "1", address], { exitCode: "any" });
    return exitCode === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const daemon of this.#daemons) await daemon[Symbol.asyncDispose]();
    await this.netns[Symbol.asyncDispose]();
  }
}

/** Nodes joined by a bridge in a namespace of its own, and a directory as their lease source. */
export class Cluster implements AsyncDisposable {
  readonly wire: TestNetns;
  readonly directory: TemporaryDirectory;
  readonly nodes: ClusterNode[] = [];

  constructor(wire: TestNetns, directory: TemporaryDirectory) {
    this.wire = wire;
    this.directory = directory;
  }

  /** The lease directory. */
  get leases(): string {
    return this.directory.join("leases");
  }

  /** Writes net-conf.json. */
  async configure(config: unknown): Promise<void> {
    await this.directory.write("leases/config", JSON.stringify(config));
  }

  /** Puts a lease in place as another node would, complete at once. */
  async writeLease(key: string, value: unknown): Promise<void> {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const temporary = await this.directory.write(`leases/subnets/.${key}.new`, text);
    await rename(temporary, this.directory.join("leases", "subnets", key));
  }

  /** Removes a lease's file. */
  async removeLease(key: string): Promise<void> {
    await rm(this.directory.join("leases", "subnets", key));
  }

  async listLeases(): Promise<readonly LeaseFile[]> {
    const directory = this.directory.join("leases", "subnets");
    const names = (await readdir(directory)).filter((name) => !name.startsWith("."));
    const leases: LeaseFile[] = [];
    for (const name of names.toSorted()) {
      const text = await readFile(`${directory}/${name}`, "utf8");
      leases.push({
        subnet: name.replace("-", "/"),
        base: name.slice(0, name.indexOf("-")),
        publicIp: /"PublicIP":"([^"]*)"/.exec(text)?.[1] ?? "",
        mac: /"VtepMAC":"([^"]*)"/.exec(text)?.[1] ?? "",
      });
    }
    return leases;
  }

  /** Waits until every running daemon is ready and knows of all leases but its own. */
  async settled(): Promise<void> {
    const leases = await this.listLeases();
    for (const node of this.nodes) {
      await waitUntil(`node ${node.publicIp} has all peers`, async () => {
        const overlay = await node.overlay();
        return overlay.filter((line) => line.startsWith("route ")).length === leases.length - 1;
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node[Symbol.asyncDispose]();
    await this.wire[Symbol.asyncDispose]();
    await this.directory[Symbol.asyncDispose]();
  }
}

/** Makes a cluster of so many nodes, configured as the usual flannel network, without daemons. */
export async function createCluster(nodeCount: number): Promise<Cluster> {
  await using made = new AsyncDisposableStack();
  const cluster = made.use(new Cluster(await createNetns({ loopbackUp: true }), await createTemporaryDirectory()));
  await cluster.wire.ip("link", "add", "br0", "type", "bridge");
  await cluster.wire.ip("link", "set", "br0", "up");
  await cluster.directory.directory("leases/subnets");
  await cluster.configure({ Network: "10.244.0.0/16", Backend: { Type: "vxlan" } });
  for (let number = 1; number <= nodeCount; number++) {
    const node = new ClusterNode(cluster, await createNetns({ loopbackUp: true }), number);
    cluster.nodes.push(node);
    await node.plug();
  }
  made.move();
  return cluster;
}

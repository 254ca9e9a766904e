import { readdir, readFile } from "node:fs/promises";

import type { BackgroundOptions, BackgroundProcess } from "../helpers/background.ts";
import type { CommandOptions, CommandResult } from "../helpers/command.ts";
import { createNode } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { peerProgram } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import { addresses, nodeAddress } from "./addresses.ts";
import type { Certificates } from "./certificates.ts";
import { containerdConfig, containerdPath, daemonScript, kubeletConfig, nodeSetup } from "./node-files.ts";
import type { ClusterContainerd } from "./node-files.ts";

/** How kube-proxy programs the kernel. */
export type ProxyMode = "iptables" | "nftables";

/** What differs from node to node. */
export interface ClusterNodeOptions {
  readonly number: number;
  readonly containerd: ClusterContainerd;
  readonly proxyMode: ProxyMode;
  readonly podNetwork: string;
}

/** A node of a real cluster: containerd, kubelet and kube-proxy on a machine of namespaces. */
export class RealNode implements AsyncDisposable {
  readonly name: string;
  readonly address: string;
  readonly machine: TestNode;
  readonly #options: ClusterNodeOptions;
  readonly #daemons = new Map<string, BackgroundProcess>();

  constructor(machine: TestNode, options: ClusterNodeOptions) {
    this.machine = machine;
    this.name = `node${options.number}`;
    this.address = nodeAddress(options.number);
    this.#options = options;
  }

  /** The containerd it was made with. */
  get containerd(): ClusterContainerd {
    return this.#options.containerd;
  }

  get netns(): TestNetns {
    return this.machine.netns;
  }

  /** Runs a program of this machine on the node. */
  run(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.machine.run(command, options);
  }

  /** Starts a program of this machine on the node. */
  start(command: readonly string[], options: BackgroundOptions = {}): BackgroundProcess {
    return this.machine.start(command, options);
  }

  /** The text of one of the node's files. */
  read(path: string): Promise<string> {
    return readFile(this.machine.path(path), "utf8");
  }

  /** The names in one of the node's directories, none when it is not there. */
  async list(path: string): Promise<readonly string[]> {
    try {
      return await readdir(this.machine.path(path));
    } catch {
      return [];
    }
  }

  /** Runs containerd's client in the namespace of the kubelet. */
  ctr(words: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const env = { PATH: containerdPath(this.#options.containerd), CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS: "1" };
    return this.run(["ctr", "--namespace", "k8s.io", ...words], { timeoutMs: 120_000, ...options, env });
  }

  /** Starts the runtime. */
  async startContainerd(): Promise<void> {
    await this.machine.write("run/containerd-config.toml", containerdConfig(this.#options.containerd));
    const env = { PATH: containerdPath(this.#options.containerd) };
    const daemon = this.#run("containerd", ["containerd", "--config", "/run/containerd-config.toml"], env);
    await daemon.waitUntil("containerd answers", async () => {
      const { exitCode } = await this.ctr(["version"], { exitCode: "any" });
      return exitCode === 0;
    });
  }

  /** Gives the runtime the images of an archive. */
  async importImages(archive: string): Promise<void> {
    const local = this.#options.containerd === "2.2" ? ["--local"] : [];
    await this.ctr(["images", "import", ...local, archive]);
  }

  /** Starts the kubelet, which registers the node. */
  async startKubelet(certificates: Certificates): Promise<void> {
    const kubeconfig = await certificates.createClient(this.name, {
      user: `system:node:${this.name}`,
      group: "system:nodes",
    });
    const config = kubeletConfig(this.machine.cgroup, certificates.path("ca.crt"));
    await this.machine.write("run/kubelet-config.json", config);
    this.#run("kubelet", [
      peerProgram("kubernetes", "kubelet"),
      "--config=/run/kubelet-config.json",
      `--kubeconfig=${kubeconfig}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${this.address}`,
    ]);
  }

  /** Starts kube-proxy. */
  startProxy(kubeconfig: string): void {
    this.#run("kube-proxy", [
      peerProgram("kubernetes", "kube-proxy"),
      `--kubeconfig=${kubeconfig}`,
      `--hostname-override=${this.name}`,
      `--proxy-mode=${this.#options.proxyMode}`,
      `--cluster-cidr=${this.#options.podNetwork}`,
      // Settings of the whole machine, which this node must leave as they are.
      "--conntrack-max-per-core=0",
      "--conntrack-tcp-timeout-established=0",
      "--conntrack-tcp-timeout-close-wait=0",
    ]);
  }

  /** The end of a daemon's log, for the message of a failure. */
  async logTail(daemon: string, lines = 40): Promise<string> {
    const text = await this.read(`log/${daemon}.log`);
    return text.trimEnd().split("\n").slice(-lines).join("\n");
  }

  #run(name: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): BackgroundProcess {
    const log = this.machine.path(`log/${name}.log`);
    const words = ["sh", "-c", daemonScript, "sh", log, ...command];
    const daemon = this.start(words, { env: { ...env, CGROUP: this.machine.cgroup } });
    this.#daemons.set(name, daemon);
    return daemon;
  }

  /** Ends all that runs on the node with its first process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
    for (const daemon of this.#daemons.values()) await daemon[Symbol.asyncDispose]();
  }
}

/** Makes a node that is on the wire and on which nothing runs yet. */
export async function createRealNode(wire: TestNetns, options: ClusterNodeOptions): Promise<RealNode> {
  await using made = new AsyncDisposableStack();
  const setup = nodeSetup(`node${options.number}`);
  const node = made.use(new RealNode(await createNode({ setup, ownNetns: true }), options));
  await plugIn(node.netns, wire, { name: node.name, address: node.address });
  await waitUntil("the node has its wire", async () => {
    const { stdout } = await node.netns.ip("-o", "link", "show", "eth0");
    return stdout.includes("LOWER_UP");
  });
  made.move();
  return node;
}

/** Joins a namespace to the wire's bridge, with the router as its way to everywhere else. */
export async function plugIn(
  netns: TestNetns,
  wire: TestNetns,
  port: { readonly name: string; readonly address: string },
): Promise<void> {
  await netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", port.name, "netns", wire.name);
  await wire.ip("link", "set", port.name, "master", "br0", "up");
  await netns.ip("address", "add", `${port.address}/24`, "dev", "eth0");
  await netns.ip("link", "set", "eth0", "up");
  await netns.ip("route", "add", "default", "via", addresses.router);
}

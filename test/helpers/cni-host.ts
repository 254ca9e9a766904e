import { join } from "node:path";

import type { JsonObject } from "../../src/base/decode.ts";
import { callCni, expectCni } from "./cni.ts";
import type { CniReply } from "./cni.ts";
import { listLeftovers } from "./leftovers.ts";
import { createNetns } from "./netns.ts";
import type { TestNetns } from "./netns.ts";
import { randomHex } from "./run-id.ts";
import { createTemporaryDirectory } from "./temp.ts";
import type { TemporaryDirectory } from "./temp.ts";

/** The network that the tests' hosts are in, as one node's daemon writes it. */
export const subnetEnv: string = [
  "FLANNEL_NETWORK=10.244.0.0/16",
  "FLANNEL_SUBNET=10.244.1.1/24",
  "FLANNEL_MTU=1450",
  "FLANNEL_IPMASQ=false",
  "",
].join("\n");

/** A pod before it has a network: its id and its namespace. */
export class TestPod implements AsyncDisposable {
  readonly containerId: string;
  readonly netns: TestNetns;

  constructor(containerId: string, netns: TestNetns) {
    this.containerId = containerId;
    this.netns = netns;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.netns[Symbol.asyncDispose]();
  }
}

/** What may differ from one plugin start to another. */
export interface PluginStart {
  readonly pod: TestPod;
  /** The directory of the plugins, which is CNI_PATH too; the host's own when left out. */
  readonly plugins?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** An empty text is a runtime that no longer knows the namespace. */
  readonly netns?: string;
}

/** A host: a network namespace, and a directory in place of /run/flannel, /var/lib/cni and /etc/cni. */
export class CniHost implements AsyncDisposable {
  readonly netns: TestNetns;
  readonly directory: TemporaryDirectory;
  /** The directory of the plugins that are called unless a call names another. */
  readonly plugins: string;
  readonly #pods: TestPod[] = [];

  constructor(netns: TestNetns, directory: TemporaryDirectory, plugins: string) {
    this.netns = netns;
    this.directory = directory;
    this.plugins = plugins;
  }

  /** In place of /run/flannel/subnet.env. */
  get subnetFile(): string {
    return this.directory.join("subnet.env");
  }

  /** In place of /var/lib/cni/networks. */
  get networksDirectory(): string {
    return this.directory.join("networks");
  }

  /** In place of /var/lib/cni/flannel. */
  get flannelDirectory(): string {
    return this.directory.join("flannel");
  }

  /** The flannel entry of the stock conflist, kept to this host's own directories, with the members given on top. */
  flannelConfig(members: JsonObject = {}): JsonObject {
    return {
      cniVersion: "0.3.1",
      name: "cbr0",
      type: "flannel",
      subnetFile: this.subnetFile,
      dataDir: this.flannelDirectory,
      ipam: { dataDir: this.networksDirectory },
      delegate: { hairpinMode: true, isDefaultGateway: true, ipMasq: false },
      ...members,
    };
  }

  /** A configuration for the bridge plugin alone, like the one that flannel makes for it. */
  bridgeConfig(members: JsonObject = {}): JsonObject {
    return {
      cniVersion: "0.3.1",
      name: "cbr0",
      type: "bridge",
      mtu: 1450,
      isGateway: true,
      isDefaultGateway: true,
      hairpinMode: true,
      ipMasq: false,
      ipam: this.ipamConfig(),
      ...members,
    };
  }

  /** A configuration for the host-local plugin alone. */
  hostLocalConfig(members: JsonObject = {}): JsonObject {
    return { cniVersion: "0.3.1", name: "cbr0", type: "host-local", ipam: this.ipamConfig(), ...members };
  }

  /** The `ipam` member that flannel makes for host-local. */
  ipamConfig(members: JsonObject = {}): JsonObject {
    return {
      type: "host-local",
      dataDir: this.networksDirectory,
      ranges: [[{ subnet: "10.244.1.0/24" }]],
      routes: [{ dst: "10.244.0.0/16" }],
      ...members,
    };
  }

  /** Makes a pod's namespace; it goes with the host. */
  async addPod(): Promise<TestPod> {
    const pod = new TestPod(randomHex(32), await createNetns());
    this.#pods.push(pod);
    return pod;
  }

  /** Runs ADD of the plugin that the configuration names; it has to succeed. */
  add(config: JsonObject, start: PluginStart): Promise<CniReply> {
    return expectCni(this.netns, this.#call("ADD", config, start));
  }

  /** Runs DEL of the plugin that the configuration names; it has to succeed. */
  delete(config: JsonObject, start: PluginStart): Promise<CniReply> {
    return expectCni(this.netns, this.#call("DEL", config, start));
  }

  /** Runs any command of the plugin that the configuration names; it may fail. */
  call(command: string, config: JsonObject, start: PluginStart): Promise<CniReply> {
    return callCni(this.netns, this.#call(command, config, start));
  }

  /** Everything there is on the host as sorted lines; of files, what the plugins keep. */
  leftovers(): Promise<readonly string[]> {
    return listLeftovers(this.netns, this.directory.path, ["networks", "flannel"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pod of this.#pods) await pod[Symbol.asyncDispose]();
    await this.netns[Symbol.asyncDispose]();
    await this.directory[Symbol.asyncDispose]();
  }

  #call(command: string, config: JsonObject, start: PluginStart): Parameters<typeof callCni>[1] {
    const plugins = start.plugins ?? this.plugins;
    return {
      plugin: join(plugins, typeof config["type"] === "string" ? config["type"] : ""),
      command,
      containerId: start.pod.containerId,
      netns: start.netns ?? start.pod.netns.path,
      ifname: start.ifname ?? "eth0",
      cniPath: plugins,
      ...(start.args === undefined ? {} : { args: start.args }),
      config,
    };
  }
}

/** Makes a host whose plugins are those of a directory, with its subnet file written. */
export async function createCniHost(plugins: string): Promise<CniHost> {
  await using made = new AsyncDisposableStack();
  const netns = made.use(await createNetns({ loopbackUp: true }));
  const directory = made.use(await createTemporaryDirectory());
  const host = new CniHost(netns, directory, plugins);
  await directory.write("subnet.env", subnetEnv);
  made.move();
  return host;
}

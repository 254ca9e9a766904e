import { rm } from "node:fs/promises";

import { Decoder, isJsonObject, parseJson } from "../../src/base/decode.ts";
import { createCniHost } from "../helpers/cni-host.ts";
import type { CniHost, TestPod } from "../helpers/cni-host.ts";
import { collect } from "../helpers/cni-network.ts";
import type { CniReply } from "../helpers/cni.ts";
import { collectOutput, endsWithin } from "../helpers/command.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { listStrays } from "./strays.ts";
import { runId, runIdVariable } from "../helpers/run-id.ts";
import { type FaultEntry, type FaultNetwork, fusedNetwork } from "./networks.ts";
import { describeWholePod } from "./whole-pod.ts";

/** How a plugin of a fault run ended. */
export interface Outcome {
  /** 128 plus the signal's number when a signal ended it. */
  readonly exitCode: number;
  readonly killed: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** What differs from one call to another. */
export interface CallOptions {
  /** Words before the plugin's own, such as strace's; where there are several plugins, the one that meets the faults. */
  readonly wrapper?: readonly string[];
  readonly pod?: TestPod;
  /** An empty text is a runtime that no longer knows the namespace. */
  readonly netns?: string;
  /** Called when the plugin has been started, with what kills it. */
  readonly onStart?: (kill: () => void) => void;
}

/** No call takes so long, not even one that waits for a lock. */
const hangMs = 20_000;
const firstPort = 20_000;

/** A host with one pod, for many runs: the shipped executable as the plugins of a network. */
export class FaultHost implements AsyncDisposable {
  readonly host: CniHost;
  readonly pod: TestPod;
  readonly network: FaultNetwork;
  readonly #stack: AsyncDisposableStack;
  readonly #ports = new Map<string, number>();
  #wholePod: readonly string[] = [];

  constructor(host: CniHost, pod: TestPod, network: FaultNetwork, stack: AsyncDisposableStack) {
    this.host = host;
    this.pod = pod;
    this.network = network;
    this.#stack = stack;
  }

  /** Runs the network's plugins, up to one that fails, as a runtime does. Fails only when one does not come to its end. */
  async call(command: "ADD" | "DEL", options: CallOptions = {}): Promise<Outcome> {
    const entries = this.#entries(options.pod ?? this.pod);
    let outcome: Outcome | undefined;
    for (const entry of command === "ADD" ? entries : entries.toReversed()) {
      // What a runtime hands on, which the plugins get on ADD alone in the versions that are used here.
      const prevResult = command === "ADD" && outcome !== undefined ? { prevResult: parseJson(outcome.stdout) } : {};
      outcome = await this.#run(command, { ...entry, config: { ...entry.config, ...prevResult } }, options);
      if (outcome.exitCode !== 0) return outcome;
    }
    if (outcome === undefined) throw new Error(`Cannot run ${command}: network "${this.network.name}" has no plugins`);
    return outcome;
  }

  async #run(command: "ADD" | "DEL", { plugin, config }: FaultEntry, options: CallOptions): Promise<Outcome> {
    const pod = options.pod ?? this.pod;
    const isFaulty = plugin === this.network.faulty;
    const inside = ["nsenter", `--net=${this.host.netns.path}`, ...((isFaulty ? options.wrapper : undefined) ?? [])];
    const child = Bun.spawn([...inside, `${this.host.plugins}/${plugin}`], {
      stdin: Buffer.from(JSON.stringify(config)),
      stdout: "pipe",
      stderr: "pipe",
      env: {
        PATH: process.env["PATH"] ?? "",
        [runIdVariable]: runId(),
        CNI_COMMAND: command,
        CNI_CONTAINERID: pod.containerId,
        CNI_NETNS: options.netns ?? pod.netns.path,
        CNI_IFNAME: "eth0",
        CNI_PATH: this.host.plugins,
        CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod",
      },
    });
    if (isFaulty) options.onStart?.(() => child.kill("SIGKILL"));
    const stdout = collectOutput(child.stdout);
    const stderr = collectOutput(child.stderr);
    if (!(await endsWithin(Promise.all([child.exited, stdout.ended, stderr.ended]), hangMs))) {
      child.kill("SIGKILL");
      throw new Error(`Cannot wait for ${command}: it has not ended after ${hangMs} ms\n${stderr.text()}`);
    }
    const killed = child.signalCode === "SIGKILL";
    return { exitCode: await child.exited, killed, stdout: stdout.text(), stderr: stderr.text() };
  }

  /** Runs GC of a runtime that knows no pod, of every plugin. What the first that failed has answered, else the last. */
  async collect(): Promise<CniReply> {
    const replies: CniReply[] = [];
    for (const { config } of this.#entries(this.pod)) {
      replies.push(await collect(this.host, { ...config, cniVersion: "1.1.0" }, []));
    }
    const reply = replies.find(({ exitCode }) => exitCode !== 0) ?? replies.at(-1);
    if (reply === undefined) throw new Error(`Cannot collect: network "${this.network.name}" has no plugins`);
    return reply;
  }

  /** Every pod has ports of the host that are its alone. */
  #entries(pod: TestPod): readonly FaultEntry[] {
    const hostPort = this.#hostPort(pod);
    return this.network.entries(this.host, [
      { hostPort, containerPort: 80, protocol: "tcp" },
      { hostPort, containerPort: 53, protocol: "udp", hostIP: "127.0.0.1" },
    ]);
  }

  #hostPort({ containerId }: TestPod): number {
    const hostPort = this.#ports.get(containerId) ?? firstPort + this.#ports.size;
    this.#ports.set(containerId, hostPort);
    return hostPort;
  }

  /** Adds the pod without any fault, remembers all that it has then, and deletes it. Returns what it had. */
  async learnWholePod(): Promise<readonly string[]> {
    const added = await this.call("ADD");
    if (added.exitCode !== 0) throw new Error(`Cannot learn what a pod has: ADD answered ${added.stdout}`);
    this.#wholePod = await this.#describe(added.stdout, this.pod);
    const deleted = await this.call("DEL");
    if (deleted.exitCode !== 0) throw new Error(`Cannot go on: DEL answered ${deleted.stdout}`);
    return this.#wholePod;
  }

  /** In what a pod, whose ADD answered so, differs from one whose ADD met no fault; learnWholePod() is called before. */
  async problemsOfPod(stdout: string, pod: TestPod = this.pod): Promise<readonly string[]> {
    if (this.#wholePod.length === 0) throw new Error("Cannot compare a pod: it is not known what one has");
    const got = await this.#describe(stdout, pod);
    return [
      ...this.#wholePod.filter((line) => !got.includes(line)).map((line) => `the pod lacks ${line}`),
      ...got.filter((line) => !this.#wholePod.includes(line)).map((line) => `the pod has ${line}`),
    ];
  }

  #describe(stdout: string, pod: TestPod): Promise<readonly string[]> {
    const addresses = listResultAddresses(stdout).map((address) => address.replace(/\/.*/, ""));
    const names = addresses.map((address) => [address, address.includes(":") ? "POD6" : "POD4"] as const);
    return describeWholePod(
      this.host.netns,
      pod.netns,
      new Map([...names, [String(this.#hostPort(pod)), "PORT"] as const]),
    );
  }

  /** What a pod has left on the host, none when all is as without pods. */
  strays(pods: readonly TestPod[] = [this.pod]): Promise<readonly string[]> {
    return listStrays(
      this.host.netns,
      pods.map((pod) => pod.netns),
      [this.host.networksDirectory, this.host.flannelDirectory],
    );
  }

  /** What the plugin that met the faults has left of a pod that it has not added. */
  async ownStrays(pods?: readonly TestPod[]): Promise<readonly string[]> {
    const strays = await this.strays(pods);
    return this.network.faulty === "portmap" ? strays.filter((line) => line.startsWith("element ")) : strays;
  }

  /** Makes the host as it was before its first pod. */
  async reset(): Promise<void> {
    await this.host.netns.run(["nft", "flush", "ruleset"]);
    await this.host.netns.run(["sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0"]);
    await this.host.netns.run(["ip", "link", "delete", "cni0"], { exitCode: "any" });
    for (const path of [this.host.networksDirectory, this.host.flannelDirectory]) {
      await rm(path, { recursive: true, force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** Makes a host for fault runs. */
export async function createFaultHost(network: FaultNetwork = fusedNetwork): Promise<FaultHost> {
  await using stack = new AsyncDisposableStack();
  const plugins = stack.use(await createExecutableDirectory());
  const host = stack.use(await createCniHost(plugins.path));
  await host.directory.write("subnet.env", network.subnetEnv);
  const pod = await host.addPod();
  return new FaultHost(host, pod, network, stack.move());
}

/** The first address of a result; undefined when the text is no result. */
export function findResultAddress(stdout: string): string | undefined {
  return listResultAddresses(stdout)[0];
}

function listResultAddresses(stdout: string): readonly string[] {
  const ips = readObject(stdout)?.field("ips").list() ?? [];
  return ips.flatMap((ip) => ip.field("address").string() ?? []);
}

/** The text of an error object; undefined when the text is none. */
export function findErrorText(stdout: string): string | undefined {
  const object = readObject(stdout);
  return object?.field("code").integer() === undefined ? undefined : object.field("msg").string();
}

function readObject(text: string): Decoder | undefined {
  try {
    const value = parseJson(text);
    return isJsonObject(value) ? new Decoder(value) : undefined;
  } catch {
    return undefined;
  }
}

/** Hosts and pods for the measurements of the plugins: network namespaces, and directories in place of the real ones. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { JsonObject } from "../src/base/decode.ts";
import { Decoder, parseJson } from "../src/base/decode.ts";
import type { Setting } from "./cni-settings.ts";
import { enterNetns, type Program, type Run, runProgram } from "./runner.ts";

/** A conflist's plugins, in order, and the files that they are. */
export interface Chain {
  readonly name: string;
  readonly cniVersion: string;
  /** Directory of the plugins. */
  readonly plugins: string;
  readonly entries: readonly JsonObject[];
}

/** A pod: its container id, its namespace and its number among those of its chain. */
export interface Pod {
  readonly containerId: string;
  readonly netns: string;
  readonly number: number;
}

/** What a host has to know of the setting it is measured in. */
type HostSetting = Pick<Setting, "daemonMasquerades" | "portMappings">;

/** What the runtime tells a plugin to do. */
export type Verb = "ADD" | "DEL";

/** Directory in which a host's addresses of the network are kept. */
export function networkDirectory(host: BenchHost): string {
  return `${host.directory}/networks/cbr0`;
}

/** What ADD or DEL of a whole chain took. */
export type ChainRun = Pick<Run, "milliseconds" | "cpuMilliseconds">;

/** Makes a network namespace that has a path. */
export function makeNetns(path: string): string {
  writeFileSync(path, "");
  const made = Bun.spawnSync(["unshare", `--net=${path}`, "true"]);
  if (made.exitCode !== 0) throw new Error(`Cannot make ${path}: ${made.stderr.toString()}`);
  return path;
}

/**
 * Makes a directory in memory for hosts' files. On ext4 each file that is made looks at all inodes that were deleted in the
 * last minutes (fs/ext4/ialloc.c: recently_deleted), which after some hundred pods takes 0.8 ms, for every plugin alike.
 */
export function makeMemoryDirectory(path: string): string {
  mkdirSync(path);
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "tmpfs", path]);
  if (mounted.exitCode !== 0) throw new Error(`Cannot mount ${path}: ${mounted.stderr.toString()}`);
  return path;
}

/** A host with its own namespace and directories, on which one chain is measured. */
export class BenchHost {
  readonly directory: string;
  readonly #chain: Chain;
  readonly #setting: HostSetting;
  readonly #netns: string;
  readonly #results = new Map<string, string>();

  constructor(directory: string, chain: Chain, setting: HostSetting) {
    this.directory = directory;
    this.#chain = chain;
    this.#setting = setting;
    mkdirSync(directory, { recursive: true });
    this.#netns = makeNetns(`${directory}/netns`);
    const lines = [
      "FLANNEL_NETWORK=10.244.0.0/16",
      "FLANNEL_SUBNET=10.244.0.1/20",
      "FLANNEL_MTU=1450",
      `FLANNEL_IPMASQ=${setting.daemonMasquerades}`,
    ];
    writeFileSync(`${directory}/subnet.env`, `${lines.join("\n")}\n`);
  }

  /** Makes the programs that are started from now on run on this host. */
  enter(): void {
    enterNetns(this.#netns);
  }

  /** Runs ADD of each plugin in order, each with the result of the one before, or DEL of each in reverse. */
  call(verb: Verb, pod: Pod): ChainRun {
    let milliseconds = 0;
    let cpuMilliseconds = 0;
    for (const index of this.order(verb)) {
      const run = runProgram(this.program(verb, index, pod));
      this.finish(verb, pod, run.exitCode);
      milliseconds += run.milliseconds;
      cpuMilliseconds += run.cpuMilliseconds;
    }
    return { milliseconds, cpuMilliseconds };
  }

  /** The places of the plugins that a verb runs, in its order. */
  order(verb: Verb): readonly number[] {
    const places = [...this.#chain.entries.keys()];
    return verb === "ADD" ? places : places.toReversed();
  }

  /** Takes note of a plugin that has ended, and of its result for the next one. Throws what it printed when it failed. */
  finish(verb: Verb, pod: Pod, exitCode: number): void {
    const output = readFileSync(this.#outputOf(pod), "utf8");
    if (exitCode !== 0) throw new Error(`Cannot measure ${this.#chain.name}: ${output}`);
    if (verb === "ADD") this.take(pod, output);
  }

  /** Takes note of the result that the pod's next call is handed. */
  take(pod: Pod, result: string): void {
    this.#results.set(pod.containerId, result);
  }

  /** One plugin of the chain as the runtime starts it. */
  program(command: Verb, index: number, pod: Pod): Program {
    const entry = this.#chain.entries[index];
    const previous = this.#results.get(pod.containerId);
    // A runtime hands the result to DEL only from 0.4.0 on (CNI 1.1.0, libcni).
    const handed = previous !== undefined && (command === "ADD" ? index > 0 : this.#chain.cniVersion >= "0.4.0");
    const config = {
      ...entry,
      cniVersion: this.#chain.cniVersion,
      name: "cbr0",
      ...(handed ? { prevResult: parseJson(previous) } : {}),
      ...this.#runtimeConfig(entry, pod),
    };
    const type = new Decoder(entry).field("type").string() ?? "";
    const stdin = `${this.directory}/${pod.containerId}.${index}.json`;
    writeFileSync(stdin, JSON.stringify(config));
    return {
      path: `${this.#chain.plugins}/${type}`,
      argv: [`${this.#chain.plugins}/${type}`],
      stdin,
      stdout: this.#outputOf(pod),
      environment: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: pod.containerId,
        CNI_NETNS: pod.netns,
        CNI_IFNAME: "eth0",
        CNI_PATH: this.#chain.plugins,
        CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod",
        PATH: process.env["PATH"] ?? "",
      },
    };
  }

  /** A runtime hands a capability's arguments to the plugins that declare it, when there are any. */
  #runtimeConfig(entry: JsonObject | undefined, pod: Pod): JsonObject {
    const portMappings = this.#setting.portMappings(pod.number);
    const declared = new Decoder(entry).field("capabilities").field("portMappings").boolean() === true;
    return declared && portMappings.length > 0 ? { runtimeConfig: { portMappings } } : {};
  }

  #outputOf(pod: Pod): string {
    return `${this.directory}/${pod.containerId}.out`;
  }
}

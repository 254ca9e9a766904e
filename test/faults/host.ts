import { rm } from "node:fs/promises";

import { Decoder, isJsonObject, type JsonObject, parseJson } from "../../src/base/decode.ts";
import { createCniHost } from "../helpers/cni-host.ts";
import type { CniHost, TestPod } from "../helpers/cni-host.ts";
import { collect } from "../helpers/cni-network.ts";
import type { CniReply } from "../helpers/cni.ts";
import { collectOutput, endsWithin } from "../helpers/command.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { listStrays } from "./strays.ts";
import { runId, runIdVariable } from "../helpers/run-id.ts";

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
  /** Words before the plugin's own, such as strace's. */
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

/** A host with one pod, for many runs: the shipped executable as `flannel`, with the stock configuration. */
export class FaultHost implements AsyncDisposable {
  readonly host: CniHost;
  readonly pod: TestPod;
  readonly #stack: AsyncDisposableStack;
  readonly #ports = new Map<string, number>();

  constructor(host: CniHost, pod: TestPod, stack: AsyncDisposableStack) {
    this.host = host;
    this.pod = pod;
    this.#stack = stack;
  }

  /** Runs the plugin to its end. Fails only when it does not come to one. */
  async call(command: "ADD" | "DEL", options: CallOptions = {}): Promise<Outcome> {
    const pod = options.pod ?? this.pod;
    const inside = ["nsenter", `--net=${this.host.netns.path}`, ...(options.wrapper ?? [])];
    const child = Bun.spawn([...inside, `${this.host.plugins}/flannel`], {
      stdin: Buffer.from(JSON.stringify(this.#config(pod))),
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
    options.onStart?.(() => child.kill("SIGKILL"));
    const stdout = collectOutput(child.stdout);
    const stderr = collectOutput(child.stderr);
    if (!(await endsWithin(Promise.all([child.exited, stdout.ended, stderr.ended]), hangMs))) {
      child.kill("SIGKILL");
      throw new Error(`Cannot wait for ${command}: it has not ended after ${hangMs} ms\n${stderr.text()}`);
    }
    const killed = child.signalCode === "SIGKILL";
    return { exitCode: await child.exited, killed, stdout: stdout.text(), stderr: stderr.text() };
  }

  /** Runs GC of a runtime that knows no pod. */
  collect(): Promise<CniReply> {
    return collect(this.host, { ...this.#config(this.pod), cniVersion: "1.1.0" }, []);
  }

  /** All that a pod can have: the stock entry with masquerade, and ports of the host that are this pod's alone. */
  #config({ containerId }: TestPod): JsonObject {
    const hostPort = this.#ports.get(containerId) ?? firstPort + this.#ports.size;
    this.#ports.set(containerId, hostPort);
    return this.host.flannelConfig({
      delegate: { hairpinMode: true, isDefaultGateway: true, ipMasq: true },
      runtimeConfig: {
        portMappings: [
          { hostPort, containerPort: 80, protocol: "tcp" },
          { hostPort, containerPort: 53, protocol: "udp", hostIP: "127.0.0.1" },
        ],
      },
    });
  }

  /** What a pod has left on the host, none when all is as without pods. */
  strays(pods: readonly TestPod[] = [this.pod]): Promise<readonly string[]> {
    return listStrays(
      this.host.netns,
      pods.map((pod) => pod.netns),
      [this.host.networksDirectory, this.host.flannelDirectory],
    );
  }

  /** Makes the host as it was before its first pod. */
  async reset(): Promise<void> {
    await this.host.netns.run(["nft", "flush", "ruleset"]);
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
export async function createFaultHost(): Promise<FaultHost> {
  await using stack = new AsyncDisposableStack();
  const plugins = stack.use(await createExecutableDirectory());
  const host = stack.use(await createCniHost(plugins.path));
  const pod = await host.addPod();
  return new FaultHost(host, pod, stack.move());
}

/** The first address of a result; undefined when the text is no result. */
export function findResultAddress(stdout: string): string | undefined {
  const [ip] = readObject(stdout)?.field("ips").list() ?? [];
  return ip?.field("address").string();
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

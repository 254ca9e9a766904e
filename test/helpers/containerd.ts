import type { BackgroundProcess } from "./background.ts";
import { buildBusyboxImage, busyboxImage, busyboxPath } from "./busybox-image.ts";
import type { CommandOptions, CommandResult } from "./command.ts";
import type { TestNode } from "./node.ts";
import { peerDirectory } from "./peers.ts";
import type { Requirement } from "./require.ts";
import { uniqueName } from "./run-id.ts";
import { createTemporaryDirectory } from "./temp.ts";

/**
 * The daemon's configuration, read by both versions. Only what `ctr` uses is on, and the native snapshotter copies: it
 * needs nothing of the file system below.
 */
const configuration = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime",
  "io.containerd.nri.v1.nri",
]
[grpc]
  address = "/run/containerd/containerd.sock"
`;

/** One of the versions of containerd that a test can start. */
export type ContainerdName = "distribution" | "2.2";

/** Where the programs of a containerd are, and how its client differs. */
interface ContainerdSource {
  readonly requirements: readonly Requirement[];
  /** The directory of its programs, searched before PATH: a containerd finds its shim there as well. */
  readonly directory: string | undefined;
  /** What `ctr images import` needs to unpack for the snapshotter that it is told. */
  readonly importFlags: readonly string[];
}

const sources: Readonly<Record<ContainerdName, ContainerdSource>> = {
  // 1.6 in Debian 12.
  distribution: { requirements: ["tool:containerd", "tool:ctr"], directory: undefined, importFlags: [] },
  // Its client leaves the import to the daemon, which by itself unpacks for overlayfs alone.
  "2.2": { requirements: ["peer:containerd"], directory: peerDirectory("containerd"), importFlags: ["--local"] },
};

/** Every containerd's name. */
export const containerdNames = ["distribution", "2.2"] as const;

/** What a test needs of the machine to start this containerd and containers in it. */
export function containerdRequirements(name: ContainerdName): readonly Requirement[] {
  return ["root", "tool:runc", "tool:umoci", "tool:busybox", ...sources[name].requirements];
}

/** A container that `ctr` started through CNI and that sleeps until it is removed. */
export class TestContainer implements AsyncDisposable {
  readonly name: string;
  readonly #containerd: TestContainerd;
  readonly #client: BackgroundProcess;

  constructor(name: string, containerd: TestContainerd, client: BackgroundProcess) {
    this.name = name;
    this.#containerd = containerd;
    this.#client = client;
  }

  /** Runs a busybox applet inside the container. */
  run(applet: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const words = ["task", "exec", "--exec-id", uniqueName(), this.name, busyboxPath, ...applet];
    return this.#containerd.ctr(words, options);
  }

  /** Ends the container; its runtime then calls DEL and forgets it. Safe to repeat. */
  async remove(): Promise<void> {
    if (this.#client.exitCode === undefined) {
      await this.#containerd.ctr(["task", "kill", "--signal", "SIGKILL", this.name], { exitCode: "any" });
    }
    await this.#client.ended;
  }

  /** What the runtime said, for the failures of CNI that it only reports. */
  get messages(): string {
    return this.#client.stderr;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
    await this.#client[Symbol.asyncDispose]();
  }
}

/** A containerd of the test's own in a node, with the busybox image in it. */
export class TestContainerd implements AsyncDisposable {
  readonly #node: TestNode;
  readonly #source: ContainerdSource;
  readonly #daemon: BackgroundProcess;

  constructor(node: TestNode, source: ContainerdSource) {
    const config = node.path("run/containerd-config.toml");
    this.#node = node;
    this.#source = source;
    this.#daemon = node.start(["containerd", "--config", config], { env: environmentOf(source) });
  }

  /** Runs containerd's own client. */
  ctr(words: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.#node.run(["ctr", ...words], { ...options, env: environmentOf(this.#source) });
  }

  /** Waits until the daemon answers. */
  async waitUntilReady(): Promise<void> {
    await this.#daemon.waitUntil("containerd answers", async () => {
      const { exitCode } = await this.ctr(["version"], { exitCode: "any" });
      return exitCode === 0;
    });
  }

  /** Builds the image and imports it. */
  async importBusybox(): Promise<void> {
    await using directory = await createTemporaryDirectory();
    const archive = await buildBusyboxImage(directory);
    const name = busyboxImage.slice(0, busyboxImage.indexOf(":"));
    const flags = [...this.#source.importFlags, "--snapshotter", "native", "--base-name", name];
    await this.ctr(["images", "import", ...flags, archive], { timeoutMs: 60_000 });
  }

  /**
   * Starts a container through CNI and waits until it runs. The client stays beside it: a detached one would leave the
   * network behind when the container goes. A name can be used again when its container is removed.
   */
  async run(name: string): Promise<TestContainer> {
    const settings = ["--rm", "--cni", "--snapshotter", "native", "--cgroup", `/${this.#node.cgroup}/${name}`];
    const words = ["ctr", "run", ...settings, busyboxImage, name, busyboxPath, "sleep", "3600"];
    const client = this.#node.start(words, { env: environmentOf(this.#source) });
    const container = new TestContainer(name, this, client);
    try {
      await client.waitUntil(`container ${name} runs`, async () => {
        const { stdout } = await this.ctr(["task", "list"]);
        return new RegExp(`^${name}\\s+\\d+\\s+RUNNING`, "m").test(stdout);
      });
    } catch (error) {
      await container[Symbol.asyncDispose]();
      throw error;
    }
    return container;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }
}

/** Starts a containerd in a node; it finds its plugins in the node's /opt/cni/bin. */
export async function startContainerd(node: TestNode, name: ContainerdName): Promise<TestContainerd> {
  await node.write("run/containerd-config.toml", configuration);
  const containerd = new TestContainerd(node, sources[name]);
  try {
    await containerd.waitUntilReady();
    await containerd.importBusybox();
  } catch (error) {
    await containerd[Symbol.asyncDispose]();
    throw error;
  }
  return containerd;
}

/** Without the client's words on what a later version will no longer have: what else it says is looked at. */
function environmentOf({ directory }: ContainerdSource): Readonly<Record<string, string>> {
  const quiet = { CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS: "1" };
  return directory === undefined ? quiet : { ...quiet, PATH: `${directory}:${process.env["PATH"] ?? ""}` };
}

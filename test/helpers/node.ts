import { startProcess } from "./background.ts";
import type { BackgroundOptions, BackgroundProcess } from "./background.ts";
import { removeCgroups } from "./cgroup.ts";
import { endsWithin, runCommand } from "./command.ts";
import type { CommandOptions, CommandResult } from "./command.ts";
import { createNetns } from "./netns.ts";
import type { TestNetns } from "./netns.ts";
import { createTemporaryDirectory } from "./temp.ts";
import type { TemporaryDirectory } from "./temp.ts";

/**
 * What the first process of a node does: gives the node directories of its own where a container runtime and its
 * plugins keep their files, then waits to be told to end, which ends every process of the node. What lies beside those
 * directories is the machine's, seen through links (its own links are copied: they may be relative). /run is the node's
 * alone, but for the machine's /run/netns, so that a pod's namespace can be named by its path; not so where a runtime
 * makes the namespaces itself.
 */
const firstProcess = `
set -eu
root=$1
own() {
  path=$1
  shift
  mkdir -p "$root/machine$path" "$root$path"
  mount --bind "$path" "$root/machine$path"
  link "$root$path" "$root/machine$path"/*
  find "$path" -mindepth 1 -maxdepth 1 -type l -exec cp -P --remove-destination -t "$root$path" {} +
  for name in "$@"; do
    rm -f "$root$path/$name"
    mkdir -p "$root$path/$name"
  done
  mount --bind "$root$path" "$path"
}
link() {
  directory=$1
  shift
  if [ -e "$1" ]; then ln -s -t "$directory" "$@"; fi
}
own /etc cni cni/net.d
own /opt cni cni/bin
own /var/lib cni containerd kubelet
own /var/log containers pods
mkdir -p "$root/run/netns"
if [ -z "\${OWN_NETNS:-}" ] && [ -d /run/netns ]; then mount --rbind /run/netns "$root/run/netns"; fi
mount --rbind "$root/run" /run
eval "\${SETUP:-}"
trap 'exit 0' TERM
echo ready
while :; do sleep 3600 & wait $!; done
`;

/**
 * A machine as far as a container runtime can tell: its own network, processes and mounts. Programs in it find
 * /etc/cni/net.d, /opt/cni/bin, /var/lib/cni and /run empty and may fill them; nothing of it reaches the real ones.
 */
export class TestNode implements AsyncDisposable {
  readonly netns: TestNetns;
  readonly #directory: TemporaryDirectory;
  readonly #first: BackgroundProcess;

  constructor(netns: TestNetns, directory: TemporaryDirectory, first: BackgroundProcess) {
    this.netns = netns;
    this.#directory = directory;
    this.#first = first;
  }

  /** The name of the cgroup, in every hierarchy, in which the node's containers have theirs. */
  get cgroup(): string {
    return this.netns.name;
  }

  /** Where a path of the node lies as the test sees it; for what is below /etc/cni, /opt/cni, /var/lib/cni and /run. */
  path(inside: string): string {
    return this.#directory.join(inside);
  }

  /** Writes a file of the node. */
  write(inside: string, text: string, mode = 0o644): Promise<string> {
    return this.#directory.write(inside, text, mode);
  }

  /** The words that run a command inside. */
  argv(command: readonly string[]): readonly string[] {
    const proc = `/proc/${this.#first.pid}/ns`;
    const others = ["mnt", "net", "uts", "ipc"].map((name) => `--${name === "mnt" ? "mount" : name}=${proc}/${name}`);
    const namespaces = [...others, `--pid=${proc}/pid_for_children`];
    return ["nsenter", ...namespaces, "--wd=/", ...command];
  }

  /** Runs a program inside to its end. */
  run(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand(this.argv(command), options);
  }

  /** Starts a program inside that goes on running. */
  start(command: readonly string[], options: BackgroundOptions = {}): BackgroundProcess {
    return startProcess(this.argv(command), { ...options, wrapped: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // When the first process ends, the kernel ends all others, and only then its parent hears of it.
    await runCommand(this.argv(["kill", "-TERM", "1"]), { exitCode: "any" });
    if (!(await endsWithin(this.#first.ended, 5000))) await this.#first.stop("SIGKILL");
    await this.#first[Symbol.asyncDispose]();
    await removeCgroups(this.cgroup);
    await this.netns[Symbol.asyncDispose]();
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** How a node begins. */
export interface NodeOptions {
  /** A line of shell that its first process executes before the node is ready; `$root` is the directory of its files, `$CGROUP` its cgroup. */
  readonly setup?: string;
  /** True when the machine's /run/netns shall not be the node's as well. */
  readonly ownNetns?: boolean;
}

/** Makes a node with its network namespace, `lo` up, and nothing installed. */
export async function createNode(options: NodeOptions = {}): Promise<TestNode> {
  await using made = new AsyncDisposableStack();
  const netns = made.use(await createNetns({ loopbackUp: true }));
  const directory = made.use(await createTemporaryDirectory());
  // Not `ip netns exec`: that hides /sys, and below it the cgroups.
  const enter = ["nsenter", `--net=${netns.path}`];
  const spaces = ["--mount", "--propagation=slave", "--pid", "--uts", "--ipc"];
  const unshare = ["unshare", ...spaces, "--fork", "--kill-child", "--mount-proc"];
  const script = ["sh", "-c", firstProcess, "sh", directory.path];
  const env = { SETUP: options.setup ?? "", OWN_NETNS: options.ownNetns === true ? "1" : "", CGROUP: netns.name };
  const first = made.use(startProcess([...enter, ...unshare, ...script], { env }));
  await first.waitUntil("the node is ready", () => first.stdout.includes("ready"));
  made.move();
  return new TestNode(netns, directory, first);
}

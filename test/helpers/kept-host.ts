/** A host whose daemon keeps what the plugins made for pods in nf_tables. */
import type { BackgroundProcess } from "./background.ts";
import type { CniHost, TestPod } from "./cni-host.ts";
import type { ProgramDirectory } from "./executable.ts";
import { askHealth, type Readiness } from "./health.ts";
import { askMirror, startMirror } from "./mirror.ts";
import type { TestNetns } from "./netns.ts";
import { createPortHost, hostAddress, mapping, type PortHost } from "./port-host.ts";

const healthPort = 8081;

/** A host with a daemon that does not masquerade. */
export class KeptHost implements AsyncDisposable {
  readonly place: PortHost;
  readonly #made: AsyncDisposableStack;
  #daemon: BackgroundProcess | undefined;

  constructor(place: PortHost, made: AsyncDisposableStack) {
    this.place = place;
    this.#made = made;
  }

  get host(): CniHost {
    return this.place.host;
  }

  get log(): string {
    return this.#daemon?.stderr ?? "";
  }

  async startDaemon(plugins: ProgramDirectory): Promise<BackgroundProcess> {
    const { directory, netns } = this.host;
    await directory.directory("leases/subnets");
    const config = { Network: "10.244.0.0/16", SubnetMin: "10.244.200.0", Backend: { Type: "vxlan" } };
    await directory.write("leases/config", JSON.stringify(config));
    const health = ["--healthz-ip", "127.0.0.1", "--healthz-port", String(healthPort)];
    const flags = ["--lease-dir", directory.join("leases"), "--subnet-file", directory.join("daemon.env")];
    const daemon = netns.start([plugins.program("flanneld"), ...flags, "--iface", "up0", ...health]);
    this.#made.use(daemon);
    this.#daemon = daemon;
    await daemon.waitUntil("the subnet file is written", () => /subnet file .* written/.test(daemon.stderr));
    return daemon;
  }

  readiness(): Promise<Readiness> {
    return askHealth(this.host.netns, healthPort);
  }

  async addPod(hostPort: number): Promise<TestPod> {
    const pod = await this.host.addPod();
    await this.host.add(podConfig(this.host, hostPort), { pod });
    this.#made.use(await startMirror(pod.netns, `web${hostPort}`, 80));
    return pod;
  }

  /** What the pod with that port answers somebody outside. */
  answers(hostPort: number): Promise<string> {
    return askMirror(this.place.outside, hostAddress[4], hostPort);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync();
  }
}

/** Flannel's configuration for a pod with all that the plugins do in nf_tables. */
export function podConfig(host: CniHost, hostPort: number): Parameters<CniHost["add"]>[0] {
  return host.flannelConfig({
    cniVersion: "1.0.0",
    delegate: { hairpinMode: true, isDefaultGateway: true, ipMasq: true, macspoofchk: true },
    runtimeConfig: { portMappings: [mapping(hostPort, 80), mapping(hostPort, 53, "udp")] },
  });
}

/** Makes the host; its daemon is not started yet. */
export async function createKeptHost(plugins: ProgramDirectory): Promise<KeptHost> {
  const made = new AsyncDisposableStack();
  return new KeptHost(made.use(await createPortHost(plugins.path)), made);
}

/** Runs nft commands as one transaction. */
export async function nft(netns: TestNetns, commands: readonly string[]): Promise<void> {
  await netns.run(["nft", "-f", "-"], { stdin: commands.join("\n") });
}

/** Takes all rules away. */
export function flush(netns: TestNetns): Promise<void> {
  return nft(netns, ["flush ruleset"]);
}

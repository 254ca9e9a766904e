import type { BackgroundProcess } from "./background.ts";
import type { TestNetns } from "./netns.ts";
import { peerProgram } from "./peers.ts";
import type { TemporaryDirectory } from "./temp.ts";

/** Upstream's flanneld with an etcd of its own in one namespace. */
export class UpstreamDaemon implements AsyncDisposable {
  readonly daemon: BackgroundProcess;
  readonly #etcd: BackgroundProcess;

  constructor(daemon: BackgroundProcess, etcd: BackgroundProcess) {
    this.daemon = daemon;
    this.#etcd = etcd;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon[Symbol.asyncDispose]();
    await this.#etcd[Symbol.asyncDispose]();
  }
}

/** Starts it with --ip-masq and waits until its rules are there and subnet.env is written. */
export async function startUpstream(
  netns: TestNetns,
  directory: TemporaryDirectory,
  subnetFile: string,
  config: unknown,
): Promise<UpstreamDaemon> {
  await using made = new AsyncDisposableStack();
  const url = "http://127.0.0.1:2379";
  const urls = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`];
  const data = [`--data-dir=${directory.join("etcd")}`, "--listen-peer-urls=http://127.0.0.1:2380"];
  const etcd = made.use(
    netns.start([peerProgram("etcd", "etcd"), ...urls, ...data, "--unsafe-no-fsync", "--log-level=warn"]),
  );
  const put = {
    key: Buffer.from("/coreos.com/network/config").toString("base64"),
    value: Buffer.from(JSON.stringify(config)).toString("base64"),
  };
  const script = `
    const answer = await fetch("${url}/v3/kv/put", { method: "POST", body: ${JSON.stringify(JSON.stringify(put))} });
    if (!answer.ok) process.exit(1);`;
  await etcd.waitUntil("etcd takes the configuration", async () => {
    const { exitCode } = await netns.run([process.execPath, "-e", script], { exitCode: "any" });
    return exitCode === 0;
  });
  const flags = [`--etcd-endpoints=${url}`, "--iface=eth0", `--subnet-file=${subnetFile}`, "--ip-masq"];
  const daemon = made.use(netns.start([peerProgram("flanneld", "flanneld"), ...flags]));
  await daemon.waitUntil("it has written subnet.env", async () => {
    return daemon.stderr.includes("Wrote subnet file") && (await Bun.file(subnetFile).exists());
  });
  made.move();
  return new UpstreamDaemon(daemon, etcd);
}

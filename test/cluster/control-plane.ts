import { startProcess } from "../helpers/background.ts";
import type { BackgroundProcess } from "../helpers/background.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { peerProgram } from "../helpers/peers.ts";
import type { TemporaryDirectory } from "../helpers/temp.ts";
import { addresses } from "./addresses.ts";
import type { Certificates } from "./certificates.ts";
import type { Kubectl } from "./kubectl.ts";

const readyTimeoutMs = 60_000;

/** What a control plane is made with. */
interface ControlPlaneParts {
  readonly netns: TestNetns;
  readonly directory: TemporaryDirectory;
  readonly certificates: Certificates;
  readonly podNetwork: string;
  /** False when the controller manager gives no node its pod network. */
  readonly givesSubnets: boolean;
}

/** etcd, the API server, the controller manager and the scheduler as processes of one network namespace. */
export class ControlPlane implements AsyncDisposable {
  readonly #netns: TestNetns;
  readonly #directory: TemporaryDirectory;
  readonly #certificates: Certificates;
  readonly #podNetwork: string;
  readonly #givesSubnets: boolean;
  readonly #processes = new Map<string, BackgroundProcess>();

  constructor({ netns, directory, certificates, podNetwork, givesSubnets }: ControlPlaneParts) {
    this.#netns = netns;
    this.#directory = directory;
    this.#certificates = certificates;
    this.#podNetwork = podNetwork;
    this.#givesSubnets = givesSubnets;
  }

  /** Starts all four and waits until the API server answers. */
  async start(kubectl: Kubectl): Promise<void> {
    this.#startEtcd();
    this.startApiServer();
    const managed = await this.#certificates.createClient("controller-manager", {
      user: "system:kube-controller-manager",
    });
    const scheduling = await this.#certificates.createClient("scheduler", { user: "system:kube-scheduler" });
    await this.waitForApiServer(kubectl);
    this.#startControllerManager(managed);
    this.#run("kube-scheduler", [`--kubeconfig=${scheduling}`, "--leader-elect=false"]);
  }

  /** Starts the API server, also again after it was stopped. */
  startApiServer(): void {
    const pki = this.#certificates;
    this.#run("kube-apiserver", [
      `--advertise-address=${addresses.apiServer}`,
      `--secure-port=${addresses.apiServerPort}`,
      "--etcd-servers=http://127.0.0.1:2379",
      `--service-cluster-ip-range=${addresses.serviceNetwork}`,
      `--client-ca-file=${pki.path("ca.crt")}`,
      `--tls-cert-file=${pki.path("apiserver.crt")}`,
      `--tls-private-key-file=${pki.path("apiserver.key")}`,
      `--kubelet-client-certificate=${pki.path("admin.crt")}`,
      `--kubelet-client-key=${pki.path("admin.key")}`,
      // Else it looks for the names of nodes in the DNS of this machine.
      "--kubelet-preferred-address-types=InternalIP",
      `--service-account-key-file=${pki.path("tokens.key")}`,
      `--service-account-signing-key-file=${pki.path("tokens.key")}`,
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--allow-privileged=true",
    ]);
  }

  /** Ends the API server. */
  async stopApiServer(): Promise<void> {
    await this.#process("kube-apiserver").stop("SIGKILL");
  }

  /** Waits until the API server says that it is ready. */
  async waitForApiServer(kubectl: Kubectl): Promise<void> {
    const apiServer = this.#process("kube-apiserver");
    await apiServer.waitUntil("the API server is ready", () => kubectl.answers(), readyTimeoutMs);
  }

  #startEtcd(): void {
    this.#run("etcd", [
      `--data-dir=${this.#directory.join("etcd")}`,
      "--listen-client-urls=http://127.0.0.1:2379",
      "--advertise-client-urls=http://127.0.0.1:2379",
      "--listen-peer-urls=http://127.0.0.1:2380",
      // What is lost when the machine fails is of no interest here.
      "--unsafe-no-fsync",
    ]);
  }

  #startControllerManager(kubeconfig: string): void {
    const pki = this.#certificates;
    this.#run("kube-controller-manager", [
      `--kubeconfig=${kubeconfig}`,
      "--leader-elect=false",
      `--allocate-node-cidrs=${this.#givesSubnets}`,
      `--cluster-cidr=${this.#podNetwork}`,
      `--service-cluster-ip-range=${addresses.serviceNetwork}`,
      `--root-ca-file=${pki.path("ca.crt")}`,
      `--service-account-private-key-file=${pki.path("tokens.key")}`,
      "--use-service-account-credentials=true",
      "--kube-api-qps=100",
      "--kube-api-burst=200",
    ]);
  }

  #run(program: string, words: readonly string[]): void {
    const path = program === "etcd" ? peerProgram("etcd", program) : peerProgram("kubernetes", program);
    const log = this.#directory.join(`${program}.log`);
    const script = ["sh", "-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", log];
    const argv = this.#netns.argv([...script, path, ...words]);
    this.#processes.set(program, startProcess(argv, { stopMs: 10_000 }));
  }

  #process(program: string): BackgroundProcess {
    const found = this.#processes.get(program);
    if (found === undefined) throw new Error(`Cannot find ${program}: it was not started`);
    return found;
  }

  /** Ends them, etcd last. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of [...this.#processes.values()].toReversed()) await process.stop("SIGKILL");
  }
}

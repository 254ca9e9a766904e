import type { BackgroundProcess } from "../helpers/background.ts";
import { createNetns } from "../helpers/netns.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";
import type { TemporaryDirectory } from "../helpers/temp.ts";
import type { Requirement } from "../helpers/require.ts";
import { waitUntil } from "../helpers/wait-until.ts";
import { addresses } from "./addresses.ts";
import { Certificates } from "./certificates.ts";
import { createRealNode, plugIn } from "./cluster-node.ts";
import type { ProxyMode, RealNode } from "./cluster-node.ts";
import { ControlPlane } from "./control-plane.ts";
import { writeImageArchive } from "./image.ts";
import type { ImageSpec } from "./image.ts";
import { coreDnsImage, pauseImage, podImage } from "./images.ts";
import { Kubectl } from "./kubectl.ts";
import { keepMachineSettings } from "./machine-settings.ts";
import type { ClusterContainerd } from "./node-files.ts";

/** What a cluster of this machine needs. */
export const clusterRequirements: readonly Requirement[] = [
  "root",
  "executable",
  "link:veth",
  "link:bridge",
  "link:vxlan",
  "tool:busybox",
  "tool:containerd",
  "tool:iptables-nft",
  "tool:nft",
  "tool:openssl",
  "tool:runc",
  "peer:containerd",
  "peer:coredns",
  "peer:etcd",
  "peer:kubernetes",
];

/** What a cluster is made of. */
export interface RealClusterOptions {
  /** The containerd of each node; there are as many nodes. */
  readonly nodes: readonly ClusterContainerd[];
  readonly proxyMode: ProxyMode;
  /** Images beside those that every cluster has. */
  readonly images?: readonly ImageSpec[];
  /** Archives of images made elsewhere. */
  readonly archives?: readonly string[];
  /** The network of the pods; flannel's usual one when left out. */
  readonly podNetwork?: string;
  /** True when the kubelets wait for startNodes(). */
  readonly nodesLater?: boolean;
  /** True when the nodes wait for giveSubnets(), which else the controller manager does. */
  readonly subnetsLater?: boolean;
}

/** A real cluster whose nodes have no pod network yet. */
export class RealCluster implements AsyncDisposable {
  readonly wire: TestNetns;
  readonly controlPlane: ControlPlane;
  readonly kubectl: Kubectl;
  readonly nodes: readonly RealNode[];
  readonly directory: TemporaryDirectory;
  readonly podNetwork: string;
  readonly #certificates: Certificates;
  readonly #made: AsyncDisposableStack;

  constructor(parts: ClusterParts, made: AsyncDisposableStack) {
    this.wire = parts.wire;
    this.controlPlane = parts.controlPlane;
    this.kubectl = parts.kubectl;
    this.nodes = parts.nodes;
    this.directory = parts.directory;
    this.podNetwork = parts.podNetwork;
    this.#certificates = parts.certificates;
    this.#made = made;
  }

  /** One of the nodes, counted from one as their names are. */
  node(number: number): RealNode {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new Error(`Cannot find node${number}: the cluster has ${this.nodes.length}`);
    return node;
  }

  /** Starts a program outside the cluster, beyond the nodes' router. */
  startOutside(command: readonly string[]): BackgroundProcess {
    return this.wire.start(command);
  }

  /** Starts kubelet and kube-proxy on every node. */
  async startNodes(): Promise<void> {
    const proxy = await this.#certificates.createClient("proxy", { user: "system:kube-proxy" });
    for (const node of this.nodes) {
      await node.startKubelet(this.#certificates);
      node.startProxy(proxy);
    }
  }

  /** Waits until every node is registered. */
  async nodesRegistered(timeoutS = 90): Promise<void> {
    await waitUntil(
      "every node is registered",
      async () => (await this.kubectl.get("nodes")).field("items").list().length === this.nodes.length,
      timeoutS * 1000,
    );
  }

  /** Waits until every node is registered and says that it is ready. */
  async nodesReady(timeoutS = 90): Promise<void> {
    await this.nodesRegistered(timeoutS);
    await this.kubectl.run(["wait", "--for=condition=Ready", "node", "--all", `--timeout=${timeoutS}s`]);
  }

  /** Gives each node its part of the pod network. */
  async giveSubnets(): Promise<void> {
    const [first, second] = this.podNetwork.split(".");
    for (const [index, { name }] of this.nodes.entries()) {
      const podCIDR = `${first}.${second}.${index}.0/24`;
      await this.kubectl.run(["patch", "node", name, "-p", JSON.stringify({ spec: { podCIDR, podCIDRs: [podCIDR] } })]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync();
  }
}

interface ClusterParts {
  readonly wire: TestNetns;
  readonly controlPlane: ControlPlane;
  readonly kubectl: Kubectl;
  readonly nodes: readonly RealNode[];
  readonly directory: TemporaryDirectory;
  readonly podNetwork: string;
  readonly certificates: Certificates;
}

/** Brings up a cluster: the control plane answers, and every node is registered with its images there. */
export async function createRealCluster(options: RealClusterOptions): Promise<RealCluster> {
  await using made = new AsyncDisposableStack();
  made.use(await keepMachineSettings());
  const directory = made.use(await createTemporaryDirectory());
  const wire = made.use(await createWire());
  const netns = made.use(await createNetns({ loopbackUp: true }));
  await plugIn(netns, wire, { name: "control", address: addresses.apiServer });
  const certificates = new Certificates(directory);
  await certificates.createServer();
  const admin = await certificates.createClient("admin", { user: "admin", group: "system:masters" });
  const kubectl = new Kubectl(netns, admin, directory);
  const { podNetwork = addresses.podNetwork, proxyMode } = options;
  const givesSubnets = options.subnetsLater !== true;
  const controlPlane = made.use(new ControlPlane({ netns, directory, certificates, podNetwork, givesSubnets }));
  const nodes: RealNode[] = [];
  for (const [index, containerd] of options.nodes.entries()) {
    const node = await createRealNode(wire, { number: index + 1, containerd, proxyMode, podNetwork });
    nodes.push(made.use(node));
  }
  const archives = prepareImages(directory, options);
  await Promise.all([controlPlane.start(kubectl), ...nodes.map((node) => prepareNode(node, archives))]);
  const parts = { wire, controlPlane, kubectl, nodes, directory, podNetwork, certificates };
  const cluster = new RealCluster(parts, made.move());
  return await started(cluster, options);
}

/** The cluster with its kubelets started, unless they shall wait. */
async function started(cluster: RealCluster, { nodesLater = false }: RealClusterOptions): Promise<RealCluster> {
  await using made = new AsyncDisposableStack();
  made.use(cluster);
  if (!nodesLater) await cluster.startNodes();
  made.move();
  return cluster;
}

/** The network between the machines; it is also what lies outside of them. */
async function createWire(): Promise<TestNetns> {
  const wire = await createNetns({ loopbackUp: true });
  await wire.ip("link", "add", "br0", "type", "bridge");
  await wire.ip("link", "set", "br0", "up");
  await wire.ip("address", "add", `${addresses.router}/24`, "dev", "br0");
  await wire.ip("address", "add", `${addresses.outside}/32`, "dev", "lo");
  return wire;
}

async function prepareImages(directory: TemporaryDirectory, options: RealClusterOptions): Promise<readonly string[]> {
  const archive = directory.join("images.tar");
  await writeImageArchive(archive, [pauseImage(), podImage(), coreDnsImage(), ...(options.images ?? [])]);
  return [archive, ...(options.archives ?? [])];
}

async function prepareNode(node: RealNode, archives: Promise<readonly string[]>): Promise<void> {
  await node.startContainerd();
  for (const archive of await archives) await node.importImages(archive);
}

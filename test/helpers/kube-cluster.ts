import { apiAddress, apiPort, type ApiServer, createApiServer, flannelToken, upstreamToken } from "./api-server.ts";
import type { BackgroundProcess } from "./background.ts";
import { type Cluster, type ClusterNode, createCluster } from "./cluster.ts";
import { KubeStore } from "./kube-store.ts";
import { createTemporaryDirectory } from "./temp.ts";

/** What a test of flanneld on nodes of such a cluster needs of the machine. */
export const kubeClusterNeeds = ["root", "executable", "link:vxlan", "peer:etcd", "peer:kubernetes"] as const;

/** What a pod's daemon finds below /run in its own mount namespace: the service account, as the kubelet puts it there. */
const mountAccount =
  'mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && ln -s "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"';

/** Nodes on a wire, and on that wire a real API server that knows them. */
export class KubeCluster implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly server: ApiServer;
  readonly store: KubeStore;
  readonly #parts: AsyncDisposableStack;

  constructor(parts: AsyncDisposableStack, made: { cluster: Cluster; server: ApiServer; store: KubeStore }) {
    this.#parts = parts;
    this.cluster = made.cluster;
    this.server = made.server;
    this.store = made.store;
  }

  /** A node by its number, from 1 on. */
  node(number: number): ClusterNode {
    const node = this.cluster.nodes[number - 1];
    if (node === undefined) throw new Error(`Cannot find node ${number}: the cluster has ${this.cluster.nodes.length}`);
    return node;
  }

  /** The name of a node's object. */
  nameOf(node: ClusterNode): string {
    return `node${this.cluster.nodes.indexOf(node) + 1}`;
  }

  /** The directory in which a node's pods would find their service account. */
  get account(): string {
    return this.cluster.directory.join("account");
  }

  /** Makes the object of a node, with a pod CIDR like 10.244.1.0/24. */
  async register(node: ClusterNode, annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    const number = this.cluster.nodes.indexOf(node) + 1;
    await this.store.createNode(this.nameOf(node), `10.244.${number}.0/24`, annotations);
  }

  /** Starts a daemon as in a pod: the API server by the environment, the credentials by files. */
  start(
    node: ClusterNode,
    flags: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): BackgroundProcess {
    const name = this.nameOf(node);
    const state = ["--state-dir", this.cluster.directory.join(name, "state")];
    const source = ["--kube-subnet-mgr", "--net-config-path", this.store.netConfPath, ...state];
    const service = { KUBERNETES_SERVICE_HOST: apiAddress, KUBERNETES_SERVICE_PORT: String(apiPort) };
    return node.startFrom(source, flags, {
      env: { NODE_NAME: name, ...service, ...env },
      within: ["sh", "-c", mountAccount, this.account],
    });
  }

  /** Starts another program on a node, as in a pod, with the rights of upstream's daemon. */
  startProgram(node: ClusterNode, command: readonly string[]): BackgroundProcess {
    const service = { KUBERNETES_SERVICE_HOST: apiAddress, KUBERNETES_SERVICE_PORT: String(apiPort) };
    const env = { NODE_NAME: this.nameOf(node), ...service };
    const account = this.cluster.directory.join("upstream-account");
    return node.netns.start(["sh", "-c", mountAccount, account, ...command], { env });
  }

  /** Starts a daemon and waits until it is ready. */
  async startReady(node: ClusterNode, flags: readonly string[] = []): Promise<BackgroundProcess> {
    const daemon = this.start(node, flags);
    await daemon.waitUntil("the daemon is ready", async () => (await node.readiness()).status === 200);
    return daemon;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}

/** Makes a cluster of so many nodes, of which none is registered yet. */
export async function createKubeCluster(nodeCount: number): Promise<KubeCluster> {
  await using parts = new AsyncDisposableStack();
  const cluster = parts.use(await createCluster(nodeCount));
  await cluster.wire.ip("address", "add", `${apiAddress}/24`, "dev", "br0");
  const server = parts.use(await createApiServer({ netns: cluster.wire, address: apiAddress }));
  const store = parts.use(new KubeStore(server, await createTemporaryDirectory()));
  await store.writeConfig('{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}');
  for (const [account, token] of [
    ["account", flannelToken],
    ["upstream-account", upstreamToken],
  ] as const) {
    await cluster.directory.write(`${account}/token`, token);
    await cluster.directory.write(`${account}/ca.crt`, server.authority.own.cert);
  }
  return new KubeCluster(parts.move(), { cluster, server, store });
}

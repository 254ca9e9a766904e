import { type Cluster, type ClusterNode, createCluster } from "./cluster.ts";

/** A cluster of one node, and that node. */
export class LoneNode implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly node: ClusterNode;

  constructor(cluster: Cluster) {
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error("Cannot find the node: the cluster has none");
    this.cluster = cluster;
    this.node = node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** A cluster of two nodes, and those. */
export class NodePair implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly left: ClusterNode;
  readonly right: ClusterNode;

  constructor(cluster: Cluster) {
    const [left, right] = cluster.nodes;
    if (left === undefined || right === undefined) throw new Error("Cannot find two nodes: the cluster has fewer");
    this.cluster = cluster;
    this.left = left;
    this.right = right;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** Makes a cluster of one node, without a daemon. */
export async function createLoneNode(): Promise<LoneNode> {
  return new LoneNode(await createCluster(1));
}

/** Makes a cluster of one node whose daemon is ready. */
export async function createReadyNode(config?: unknown): Promise<LoneNode> {
  await using made = new AsyncDisposableStack();
  const lone = made.use(await createLoneNode());
  if (config !== undefined) await lone.cluster.configure(config);
  await lone.node.startReady();
  made.move();
  return lone;
}

/** Makes a cluster of two nodes whose daemons are ready and know each other. */
export async function createPair(): Promise<NodePair> {
  await using made = new AsyncDisposableStack();
  const pair = made.use(new NodePair(await createCluster(2)));
  await pair.left.startReady();
  await pair.right.startReady();
  await pair.cluster.settled();
  made.move();
  return pair;
}

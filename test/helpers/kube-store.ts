import { rename, writeFile } from "node:fs/promises";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import { encodeLeaseAttributes } from "../../src/lease/lease-json.ts";
import type { LeaseSource } from "../../src/lease/lease.ts";
import type { Credentials } from "../../src/sources/kube/credentials.ts";
import { KubeLeaseSource, type KubeSourceOptions } from "../../src/sources/kube/kube-source.ts";
import { attributesOf } from "../../src/sources/kube/node-lease.ts";
import { type AnnotationName, isAnnotationName } from "../../src/sources/kube/annotations.ts";
import { usualTiming } from "../../src/sources/kube/timing.ts";
import { type ApiServer, flannelToken } from "./api-server.ts";
import { fixedCredentials } from "./credentials.ts";
import { ignore, type LeaseStore } from "./lease-store.ts";
import { Relay } from "./relay.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "./temp.ts";

const prefix = "flannel.alpha.coreos.com";
const nodesPath = "/api/v1/nodes";

/** A Node object, as far as a test looks at it. */
export interface StoredNode {
  readonly name: string;
  readonly podCidr: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Status, reason and message of the condition NetworkUnavailable, and the names of all that it has. */
  readonly condition: string | undefined;
}

/**
 * Leases as Node objects of a real API server. A lease that a test writes is a node of the key's name; a source that a
 * test opens is the next of a few nodes that have a pod CIDR and are nobody's yet.
 */
export class KubeStore implements LeaseStore {
  readonly server: ApiServer;
  readonly relay: Relay;
  readonly #directory: TemporaryDirectory;
  readonly #credentials: Credentials;
  #opened = 0;

  constructor(server: ApiServer, directory: TemporaryDirectory) {
    this.server = server;
    this.#directory = directory;
    this.relay = new Relay({ hostname: "127.0.0.1", port: 0 }, { hostname: "127.0.0.1", port: server.port });
    const ca = server.authority.own.cert;
    const tls = { ca, cert: undefined, key: undefined, serverName: undefined, verify: true };
    const endpoint = { host: "127.0.0.1", port: this.relay.port, tls };
    this.#credentials = fixedCredentials(endpoint, { authorization: `Bearer ${flannelToken}` });
  }

  get netConfPath(): string {
    return this.#directory.join("net-conf.json");
  }

  get stateDirectory(): string {
    return this.#directory.join("state");
  }

  open(report: (line: string) => void = ignore): LeaseSource {
    return this.openAs(`self-${++this.#opened}`, { report });
  }

  /** A source that is the node of this name. */
  openAs(name: string, options: Partial<KubeSourceOptions> = {}): KubeLeaseSource {
    return new KubeLeaseSource({
      credentials: this.#credentials,
      identity: { kind: "node", name },
      annotationPrefix: prefix,
      netConfPath: this.netConfPath,
      stateDirectory: this.stateDirectory,
      setCondition: true,
      report: ignore,
      timing: { ...usualTiming, firstRetryMs: 50 },
      ...options,
    });
  }

  async writeConfig(text: string): Promise<void> {
    await writeFile(`${this.netConfPath}.new`, text);
    await rename(`${this.netConfPath}.new`, this.netConfPath);
  }

  async writeLease(key: string, text: string): Promise<void> {
    const holder = await this.#findHolder(key);
    const annotations = annotationsOfText(text);
    if (holder !== undefined && !holder.name.startsWith("self-")) {
      await this.annotate(holder.name, annotations);
      return;
    }
    if (holder !== undefined) await this.deleteNode(holder.name);
    await this.createNode(key, key.replace("-", "/"), annotations);
  }

  async removeLease(key: string): Promise<void> {
    const holder = await this.#findHolder(key);
    if (holder !== undefined) await this.deleteNode(holder.name);
  }

  async readLease(key: string): Promise<string | undefined> {
    const holder = await this.#findHolder(key);
    if (holder === undefined) return undefined;
    const known = new Map<AnnotationName, string>();
    for (const [name, value] of Object.entries(holder.annotations)) {
      const short = name.slice(prefix.length + 1);
      if (isAnnotationName(short)) known.set(short, value);
    }
    return encodeLeaseAttributes(attributesOf(known));
  }

  async keys(): Promise<readonly string[]> {
    return (await this.#leases()).map(({ podCidr }) => podCidr.replace("/", "-")).toSorted();
  }

  hide(): Promise<void> {
    this.relay.cut();
    return Promise.resolve();
  }

  reveal(): Promise<void> {
    this.relay.listen();
    return Promise.resolve();
  }

  /** Makes a node; without pod CIDR when that is empty. */
  async createNode(name: string, podCidr: string, annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    const spec = podCidr === "" ? {} : { podCIDR: podCidr, podCIDRs: [podCidr] };
    await this.server.ask("POST", nodesPath, { metadata: { name, annotations }, spec });
  }

  /** What a node says whose lease has this value in flannel's other layout. */
  annotationsOf(text: string): Readonly<Record<string, string>> {
    return annotationsOfText(text);
  }

  /** Sets annotations of a node, or removes those that are null. */
  async annotate(name: string, annotations: Readonly<Record<string, string | null>>): Promise<void> {
    const patch = { metadata: { annotations } };
    await this.server.ask("PATCH", `${nodesPath}/${name}`, patch, "application/merge-patch+json");
  }

  /** Says that a node's network is not there, as a cloud's controller for routes does. */
  async denyNetwork(name: string): Promise<void> {
    const condition = { type: "NetworkUnavailable", status: "True", reason: "NoRouteCreated", message: "no route" };
    const patch = { status: { conditions: [condition] } };
    await this.server.ask("PATCH", `${nodesPath}/${name}/status`, patch, "application/strategic-merge-patch+json");
  }

  /** Gives a node its pod CIDR, as the controller manager does. */
  async assign(name: string, podCidr: string): Promise<void> {
    const patch = { spec: { podCIDR: podCidr, podCIDRs: [podCidr] } };
    await this.server.ask("PATCH", `${nodesPath}/${name}`, patch, "application/merge-patch+json");
  }

  async deleteNode(name: string): Promise<void> {
    await this.server.ask("DELETE", `${nodesPath}/${name}`);
  }

  /** A node as it is stored. */
  async node(name: string): Promise<StoredNode> {
    const found = (await this.nodes()).find((node) => node.name === name);
    if (found === undefined) throw new Error(`Cannot find node "${name}"`);
    return found;
  }

  async nodes(): Promise<readonly StoredNode[]> {
    const list = await this.server.ask("GET", nodesPath);
    return new Decoder(parseJson(JSON.stringify(list))).field("items").list().map(decodeNode);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.relay[Symbol.dispose]();
    await this.server.ask("DELETE", nodesPath);
    await this.#directory[Symbol.asyncDispose]();
  }

  async #leases(): Promise<readonly StoredNode[]> {
    return (await this.nodes()).filter(({ annotations }) => annotations[`${prefix}/kube-subnet-manager`] === "true");
  }

  async #findHolder(key: string): Promise<StoredNode | undefined> {
    return (await this.#leases()).find(({ podCidr }) => podCidr.replace("/", "-") === key);
  }
}

/** Makes a store over a server that several share, one after the other. */
export async function createKubeStore(server: ApiServer): Promise<KubeStore> {
  const store = new KubeStore(server, await createTemporaryDirectory());
  for (const number of [1, 2, 3]) await store.createNode(`self-${number}`, `10.244.${100 + number}.0/24`);
  return store;
}

function decodeNode(item: Decoder): StoredNode {
  const annotations = item.field("metadata").field("annotations");
  const conditions = item.field("status").field("conditions").list();
  const condition =
    conditions.find((each) => each.field("type").string() === "NetworkUnavailable") ?? new Decoder(undefined);
  return {
    name: item.field("metadata").field("name").string() ?? "",
    podCidr: item.field("spec").field("podCIDR").string() ?? "",
    annotations: Object.fromEntries(
      Object.keys(annotations.object() ?? {}).map((key) => [key, annotations.field(key).string() ?? ""]),
    ),
    condition: condition.absent ? undefined : describeCondition(condition),
  };
}

function describeCondition(condition: Decoder): string {
  const [status, reason, message] = ["status", "reason", "message"].map((name) => condition.field(name).string());
  const names = Object.keys(condition.object() ?? {}).toSorted();
  return `${status} ${reason}: ${message} (${names.join(" ")})`;
}

/** What a node says whose lease has this value in flannel's other layout. */
function annotationsOfText(text: string): Readonly<Record<string, string>> {
  const managed = { [`${prefix}/kube-subnet-manager`]: "true" };
  let value: Decoder;
  try {
    value = new Decoder(parseJson(text));
  } catch {
    return { ...managed, [`${prefix}/backend-type`]: "vxlan", [`${prefix}/backend-data`]: text };
  }
  return {
    ...managed,
    [`${prefix}/public-ip`]: value.field("PublicIP").string() ?? "",
    [`${prefix}/backend-type`]: value.field("BackendType").string() ?? "",
    [`${prefix}/backend-data`]: JSON.stringify(value.field("BackendData").value ?? null),
  };
}

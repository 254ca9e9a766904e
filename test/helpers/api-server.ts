import { cp, readFile, rm } from "node:fs/promises";

import type { BackgroundProcess } from "./background.ts";
import { type Certificate, type CertificateAuthority, createAuthority } from "./certificates.ts";
import { manifestPath, objectOf, parseManifest } from "./manifest.ts";
import { createNetns, type TestNetns } from "./netns.ts";
import { peerProgram } from "./peers.ts";
import { Relay } from "./relay.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "./temp.ts";

/** The port of the API server in its namespace. */
export const apiPort = 6443;
/** The address of an API server that runs on the nodes' wire. */
export const apiAddress = "192.168.1.254";
const etcdUrl = "http://127.0.0.1:2379";
const startMs = 60_000;

/** The name by which the API server knows the bearer of `flannelToken`: the service account of the manifest. */
export const flannelUser = "system:serviceaccount:kube-flannel:flannel";

/** A bearer token of flannel's service account, with the rights that our manifest gives it. */
export const flannelToken = "flannel-token";

/** The bearer token of one with the rights that upstream's manifest gives. */
export const upstreamToken = "upstream-token";
const upstreamUser = "upstream";

/** What a test takes of a JSON object: whatever it wants to. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** How an API server is set up. */
export interface ApiServerOptions {
  /** Added to its command line. */
  readonly flags?: readonly string[];
  /** The namespace in which it runs; one of its own when left out. */
  readonly netns?: TestNetns;
  /** A further address of it, for those in other namespaces. */
  readonly address?: string;
}

/**
 * A real API server with a real etcd, as processes in a network namespace, without nodes: the test makes them. The test
 * itself, which is outside, reaches it through a relay, which it can cut.
 */
export class ApiServer implements AsyncDisposable {
  readonly directory: TemporaryDirectory;
  readonly netns: TestNetns;
  readonly authority: CertificateAuthority;
  readonly admin: Certificate;
  readonly #server: Certificate;
  readonly #relay: Relay;
  readonly #parts: AsyncDisposableStack;
  readonly #flags: readonly string[];
  #etcd: BackgroundProcess | undefined;
  #api: BackgroundProcess | undefined;

  constructor(
    parts: AsyncDisposableStack,
    made: {
      readonly directory: TemporaryDirectory;
      readonly netns: TestNetns;
      readonly authority: CertificateAuthority;
      readonly admin: Certificate;
      readonly server: Certificate;
      readonly relay: Relay;
      readonly flags: readonly string[];
    },
  ) {
    this.#parts = parts;
    this.directory = made.directory;
    this.netns = made.netns;
    this.authority = made.authority;
    this.admin = made.admin;
    this.#server = made.server;
    this.#relay = made.relay;
    this.#flags = made.flags;
  }

  /** The port on which the test reaches it, on 127.0.0.1; inside its namespace it is `apiPort`. */
  get port(): number {
    return this.#relay.port;
  }

  /** The relay between the test and the server. */
  get relay(): Relay {
    return this.#relay;
  }

  get process(): BackgroundProcess {
    if (this.#api === undefined) throw new Error("Cannot find the API server: it was not started");
    return this.#api;
  }

  /** Starts both, and waits until the API server is ready. */
  async start(): Promise<void> {
    const data = this.directory.join("etcd");
    const etcd = [peerProgram("etcd", "etcd"), "--data-dir", data, "--log-level", "error", "--unsafe-no-fsync"];
    this.#etcd = this.netns.start(etcd);
    const api = [
      peerProgram("kubernetes", "kube-apiserver"),
      `--etcd-servers=${etcdUrl}`,
      "--bind-address=0.0.0.0",
      "--advertise-address=192.0.2.1",
      `--secure-port=${apiPort}`,
      "--endpoint-reconciler-type=none",
      `--tls-cert-file=${this.#server.certPath}`,
      `--tls-private-key-file=${this.#server.keyPath}`,
      `--client-ca-file=${this.authority.own.certPath}`,
      `--service-account-key-file=${this.#server.keyPath}`,
      `--service-account-signing-key-file=${this.#server.keyPath}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      "--service-cluster-ip-range=10.96.0.0/16",
      "--authorization-mode=RBAC",
      "--disable-admission-plugins=ServiceAccount",
      `--token-auth-file=${this.directory.join("tokens.csv")}`,
      ...this.#flags,
    ];
    this.#api = this.netns.start(api);
    await this.#api.waitUntil("the API server is ready", () => this.#isReady(), startMs);
  }

  /** Ends both. */
  async stop(name: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#api?.stop(name);
    await this.#etcd?.stop(name);
    this.#api = undefined;
    this.#etcd = undefined;
  }

  /** Copies what etcd has on disk, or puts back what was copied; both must be stopped. */
  async copyStore(from: string, to: string): Promise<void> {
    await rm(this.directory.join(to), { recursive: true, force: true });
    await cp(this.directory.join(from), this.directory.join(to), { recursive: true });
  }

  /** Asks as an administrator and returns the answer's JSON. Throws on any status that is not wanted. */
  async ask(method: string, path: string, body?: JsonObject, type = "application/json"): Promise<JsonObject> {
    const answer = await this.#fetch(path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": type } }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`Cannot ${method} ${path}: ${answer.status} ${text}`);
    return jsonObject(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#parts.disposeAsync();
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await this.#fetch("/readyz", {})).ok;
    } catch {
      return false;
    }
  }

  #fetch(path: string, options: RequestInit): Promise<Response> {
    return fetch(`https://127.0.0.1:${this.port}${path}`, {
      ...options,
      keepalive: false,
      tls: { ca: this.authority.own.cert, cert: this.admin.cert, key: this.admin.key },
    });
  }
}

/** Starts an API server, and gives flannel's service account the rights that the manifest gives it. */
export async function createApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  await using parts = new AsyncDisposableStack();
  const directory = parts.use(await createTemporaryDirectory());
  const netns = options.netns ?? parts.use(await createNetns({ loopbackUp: true }));
  const authority = await createAuthority(directory);
  const further = options.address === undefined ? [] : [`IP:${options.address}`];
  const server = await authority.sign("server", "/CN=kube-apiserver", [
    ...further,
    "IP:127.0.0.1",
    "IP:10.96.0.1",
    "DNS:kubernetes",
  ]);
  const admin = await authority.sign("admin", "/O=system:masters/CN=admin");
  const users = [`${flannelToken},${flannelUser},flannel`, `${upstreamToken},${upstreamUser},${upstreamUser}`, ""];
  await directory.write("tokens.csv", users.join("\n"));
  const unix = directory.join("relay");
  const program = Bun.fileURLToPath(import.meta.resolve("./relay-program.ts"));
  const inner = parts.use(netns.start([process.execPath, program, unix, String(apiPort)]));
  await inner.waitUntil("the relay is ready", () => inner.stdout.includes("ready"));
  const relay = parts.use(new Relay({ hostname: "127.0.0.1", port: 0 }, { unix }));
  const made = new ApiServer(parts.move(), {
    directory,
    netns,
    authority,
    admin,
    server,
    relay,
    flags: options.flags ?? [],
  });
  try {
    await made.start();
    await allow(made, "flannel", { user: flannelUser, rules: await readRules() });
    await allow(made, "upstream", { user: upstreamUser, rules: upstreamRules });
    return made;
  } catch (error) {
    await made[Symbol.asyncDispose]();
    throw error;
  }
}

/** Rules of a ClusterRole. */
type RoleRules = readonly JsonObject[];

/** Gives a user rights by a ClusterRole of this name. */
export async function allow(
  server: ApiServer,
  name: string,
  { user, rules }: { readonly user: string; readonly rules: RoleRules },
): Promise<void> {
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  await server.ask("POST", `${rbac}/clusterroles`, { metadata: { name }, rules });
  await server.ask("POST", `${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
    subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: user }],
  });
}

/** What our manifest grants: the daemon must not need anything beyond it. */
async function readRules(): Promise<RoleRules> {
  const role = objectOf(parseManifest(await readFile(manifestPath, "utf8")), "ClusterRole");
  return role
    .field("rules")
    .list()
    .map((rule) => rule.object() ?? rule.fail("an object"));
}

/** What upstream's kube-flannel.yml grants. */
const upstreamRules: RoleRules = [
  { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
  { apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] },
  { apiGroups: [""], resources: ["nodes/status"], verbs: ["patch"] },
];

function jsonObject(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw new Error(`Cannot read an answer of the API server: ${text.slice(0, 100)}`);
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The one importer of the Kubernetes client library. It is loaded by commands for people, and by the daemon only in a
 * short-lived child, since it would cost it 23 MB. It sends nothing by itself: as shipped it fails every HTTPS call on
 * Bun. Its requests go by our own transport, with what that checks.
 */
import {
  CoreV1Api,
  createConfiguration,
  KubeConfig,
  ListWatch,
  loadYaml,
  type RequestContext,
  ResponseContext,
  SelfDecodingBody,
  ServerConfiguration,
  type V1Node,
  type V1NodeList,
  Watch,
  wrapHttpLibrary,
} from "@kubernetes/client-node";
import { Decoder, parseJson } from "../../base/decode.ts";
import { certificateEnd, checkPrivateKey, isKeyOf } from "../../sys/certificate.ts";
import { ApiError, isSuccess, type KubeApi, readRefusal, usualLimits } from "./api.ts";
import { askExecPlugin, type ExecCredential } from "./exec-plugin.ts";
import { watchJson } from "./json-watch.ts";
import type { KubeconfigPart, KubeconfigText } from "./kubeconfig.ts";
import type { HttpMethod } from "./transport.ts";
import { findCurrent, readNamedFile, refuseImpersonation, type WrittenEntry } from "./written-kubeconfig.ts";

export type { CoreV1Api, ListWatch, V1Node, V1NodeCondition, V1NodeList } from "@kubernetes/client-node";

const methods: readonly HttpMethod[] = ["GET", "PATCH", "POST", "PUT", "DELETE"];

/**
 * The library's calls for nodes, pods, ConfigMaps and the like. What the API server refuses rejects with our ApiError, not
 * the library's, whose text is no sentence; else as `KubeApi.send`, until the signal.
 */
export function openCoreApi(api: KubeApi, signal: AbortSignal): CoreV1Api {
  const httpApi = wrapHttpLibrary({ send: (request) => sendFor(api, request, signal) });
  // It wants a server, but which one, and who asks, is the transport's business.
  return new CoreV1Api(createConfiguration({ baseServer: new ServerConfiguration("https://server", {}), httpApi }));
}

async function sendFor(api: KubeApi, request: RequestContext, signal: AbortSignal): Promise<ResponseContext> {
  const { pathname, search } = new URL(request.getUrl());
  const named = request.getHttpMethod();
  const method = methods.find((each) => each === named);
  const body = request.getBody();
  if (method === undefined) throw new Error(`Cannot ask the API server: ${named} is not supported`);
  if (typeof body === "object") throw new Error(`Cannot ask the API server: its body must be a text`);
  const parts: Uint8Array[] = [];
  let [status, headers] = [0, {}];
  await api.send(
    { method, path: `${pathname}${search}`, headers: request.getHeaders(), body },
    {
      receiver: {
        head: (head): void => {
          status = head.status;
          headers = Object.fromEntries(head.headers);
        },
        body: (bytes): void => void parts.push(bytes.slice()),
      },
      limits: usualLimits,
      signal: AbortSignal.any([signal, request.getSignal() ?? signal]),
    },
  );
  const answer = Buffer.concat(parts);
  if (!isSuccess(status)) throw new ApiError(`${method} ${pathname}`, readRefusal(status, answer));
  // The library would make something undefined of it.
  if (!/^\s*\{/.test(answer.subarray(0, 100).toString("latin1"))) {
    throw new Error(`Cannot ${method} ${pathname}: the server's answer is no object of the API (is it an API server?)`);
  }
  return new ResponseContext(status, headers, new SelfDecodingBody(Promise.resolve(answer)));
}

/**
 * The library's informer of nodes: it calls `list`, then watches, and goes on where a watch has ended; it lists again where
 * the server no longer has that version. Begun by its start(). After an `error` event it has stopped. The signal ends it.
 */
export function openNodeInformer(
  api: KubeApi,
  list: () => Promise<V1NodeList>,
  signal: AbortSignal,
): ListWatch<V1Node> {
  return new ListWatch("/api/v1/nodes", new TransportWatch(api, signal), list, false);
}

/** The library's watch, by our transport: as shipped it sends by `fetch`, with what Bun makes of it. */
class TransportWatch extends Watch {
  readonly #api: KubeApi;
  readonly #signal: AbortSignal;

  constructor(api: KubeApi, signal: AbortSignal) {
    // It wants a configuration, which nobody asks then.
    super(new KubeConfig());
    this.#api = api;
    this.#signal = signal;
  }

  override async watch(...[path, query, callback, done]: Parameters<Watch["watch"]>): Promise<AbortController> {
    const stop = new AbortController();
    // Without bookmarks nothing would tell a cluster in which nothing happens from a server that hangs.
    const search = new URLSearchParams({ watch: "true", allowWatchBookmarks: "true" });
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
    watchJson(this.#api, `${path}?${search.toString()}`, {
      take: (event) => callback(event.type, event.object, event),
      signal: AbortSignal.any([this.#signal, stop.signal]),
    }).then(
      () => done(null),
      (error: unknown) => {
        if (!stop.signal.aborted) done(error);
      },
    );
    return stop;
  }
}

/** What the library fills in: options for node:https, of which each is told apart by what it holds. */
type RequestOptions = Record<string, unknown>;

/**
 * Reads a kubeconfig, the default one without a path, and has its user authenticated as it says: by certificate, token,
 * password, token file, exec plugin; for "cluster" nobody is asked, and nothing said of the user. Returns what a request
 * needs, as JSON for the parent to decode.
 */
export async function readKubeconfig(path: string | undefined, part: KubeconfigPart): Promise<string> {
  const current = findCurrent(path, (text) => parseJson(JSON.stringify(loadYaml<unknown>(text) ?? null)));
  const { cluster } = current;
  const user = part === "access" ? current.user : undefined;
  const credential = await authenticate(user, cluster);
  const options = await libraryOptions(cluster, user);
  const serverName = options["servername"];
  const cert = credential?.cert ?? textOf(options["cert"]);
  const key = credential?.key ?? textOf(options["key"]);
  const ca = textOf(options["ca"]);
  checkCertificates({ ca, cert, key });
  const token = credential?.token === undefined ? null : `Bearer ${credential.token}`;
  // A token file goes before a token, as client-go has it; the library (2.0.1) looks for it by a name that nobody writes.
  const file = user === undefined ? undefined : readNamedFile(user, "tokenFile");
  const authorization = file === undefined ? (authorizationOf(options) ?? token) : `Bearer ${file.trim()}`;
  const server = cluster.value.field("server").string() ?? "";
  const access: KubeconfigText = {
    server,
    ca,
    cert,
    key,
    serverName: typeof serverName === "string" ? serverName : null,
    verify: isPlain(server) || options["rejectUnauthorized"] !== false,
    authorization,
    proxy: cluster.value.field("proxy-url").string() ?? null,
    expires: earliest([cert === null ? undefined : certificateEnd(cert), tokenEnd(authorization), credential?.expires]),
  };
  return JSON.stringify(access);
}

function isPlain(server: string): boolean {
  return server.startsWith("http:");
}

async function authenticate(
  user: WrittenEntry | undefined,
  cluster: WrittenEntry,
): Promise<ExecCredential | undefined> {
  if (user === undefined) return undefined;
  refuseImpersonation(user);
  const exec = user.value.field("exec");
  return exec.absent ? undefined : await askExecPlugin({ exec, directory: user.directory, cluster });
}

/** What the library makes of both. */
async function libraryOptions(cluster: WrittenEntry, user: WrittenEntry | undefined): Promise<RequestOptions> {
  // It would name the file, but not what it is for.
  readNamedFile(cluster, "certificate-authority");
  const loadedCluster = loadFile(cluster.path).getCluster(cluster.name);
  if (loadedCluster === null) throw new Error(`cluster "${cluster.name}" cannot be read`);
  for (const member of ["client-certificate", "client-key"]) if (user !== undefined) readNamedFile(user, member);
  const loadedUser = user === undefined ? null : loadFile(user.path).getUser(user.name);
  const config = new KubeConfig();
  // It refuses plain http unless nothing is to be checked, and takes no cluster's authority without a user.
  const skipTLSVerify = loadedCluster.skipTLSVerify || isPlain(loadedCluster.server);
  // The plugin was asked; the library would do it once more.
  config.loadFromClusterAndUser({ ...loadedCluster, skipTLSVerify }, { name: "nobody", ...loadedUser, exec: null });
  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    const provider = user?.value.field("auth-provider").field("name").string();
    if (provider === undefined) throw error;
    const hint = "an exec plugin is what kubectl has in its place";
    throw new Error(`its user's auth-provider "${provider}" gives no credentials (${hint})`, { cause: error });
  }
  return options;
}

function loadFile(path: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(path);
  return config;
}

/** Throws an Error for what would only be refused when it is used, in words that do not say what it is. */
function checkCertificates({ ca, cert, key }: Pick<KubeconfigText, "ca" | "cert" | "key">): void {
  check("its certificate-authority is no certificate in PEM", () => ca !== null && certificateEnd(ca));
  check("its client-certificate is no certificate in PEM", () => cert !== null && certificateEnd(cert));
  check("its client-key is no private key in PEM", () => key !== null && checkPrivateKey(key));
  if (cert !== null && key !== null && !isKeyOf(cert, key)) {
    throw new Error("its client-key is not that of its client-certificate");
  }
}

function check(problem: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    throw new Error(problem, { cause: error });
  }
}

function authorizationOf({ headers, auth }: RequestOptions): string | null {
  if (typeof auth === "string") return `Basic ${Buffer.from(auth).toString("base64")}`;
  if (typeof headers !== "object" || headers === null || !("Authorization" in headers)) return null;
  return typeof headers.Authorization === "string" ? headers.Authorization : null;
}

function textOf(pem: unknown): string | null {
  if (typeof pem === "string") return pem;
  return Buffer.isBuffer(pem) ? pem.toString("utf8") : null;
}

/** A token that is a JWT says in its second part, as JSON, when it ends. */
function tokenEnd(authorization: string | null): number | undefined {
  const [, payload] = /^Bearer [\w-]+\.([\w-]+)\.[\w-]+$/.exec(authorization ?? "") ?? [];
  if (payload === undefined) return undefined;
  try {
    const seconds = new Decoder(parseJson(Buffer.from(payload, "base64url").toString("utf8"))).field("exp").integer();
    return seconds === undefined ? undefined : seconds * 1000;
  } catch {
    return undefined;
  }
}

function earliest(times: readonly (number | undefined)[]): number | null {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? null : Math.min(...known);
}

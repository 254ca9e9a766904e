/**
 * The one importer of the Kubernetes client library. It is loaded by commands for people, and by the daemon only in a
 * short-lived child, since it would cost it 23 MB. It sends nothing by itself: as shipped it fails every HTTPS call on
 * Bun. Its requests go by our own transport, with what that checks.
 */
import {
  CoreV1Api,
  createConfiguration,
  KubeConfig,
  loadYaml,
  type RequestContext,
  ResponseContext,
  SelfDecodingBody,
  ServerConfiguration,
  wrapHttpLibrary,
} from "@kubernetes/client-node";
import { Decoder, parseJson } from "../../base/decode.ts";
import { findText, readText } from "../../sys/file.ts";
import { certificateEnd } from "../../sys/certificate.ts";
import { ApiError, isSuccess, type KubeApi, readRefusal, usualLimits } from "./api.ts";
import { askExecPlugin, type ExecCredential } from "./exec-plugin.ts";
import type { KubeconfigText } from "./kubeconfig.ts";
import type { HttpMethod } from "./transport.ts";

export type { CoreV1Api, V1Node, V1NodeCondition } from "@kubernetes/client-node";

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
  return new ResponseContext(status, headers, new SelfDecodingBody(Promise.resolve(answer)));
}

/** What the library fills in: options for node:https, of which each is told apart by what it holds. */
type RequestOptions = Record<string, unknown>;

/**
 * Reads a kubeconfig, the default one without a path, and has its user authenticated as it says: by certificate, token,
 * password, token file, exec plugin. Returns what a request needs, as JSON for the parent to decode.
 */
export async function readKubeconfig(path: string | undefined): Promise<string> {
  const config = new KubeConfig();
  if (path === undefined) config.loadFromDefault();
  else config.loadFromFile(path);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error("it has no cluster for its current context");
  const user = findEntry(path, "users", config.getCurrentUser()?.name);
  const as = user.value.field("user").field("as").string() ?? "";
  if (as !== "") throw new Error(`its user acts as "${as}" (impersonation), which is not supported`);
  const credential = await askPlugin(user, findEntry(path, "clusters", cluster.name));
  // The plugin was asked; the library would do it once more. And it refuses plain http unless nothing is to be checked.
  config.users = config.users.map((each) => ({ ...each, exec: null }));
  const plain = cluster.server.startsWith("http:");
  if (plain) config.clusters = config.clusters.map((each) => ({ ...each, skipTLSVerify: true }));
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const serverName = options["servername"];
  const cert = credential?.cert ?? textOf(options["cert"]);
  const token = credential?.token === undefined ? null : `Bearer ${credential.token}`;
  const authorization = authorizationByFile(user) ?? authorizationOf(options) ?? token;
  const access: KubeconfigText = {
    server: cluster.server,
    ca: textOf(options["ca"]),
    cert,
    key: credential?.key ?? textOf(options["key"]),
    serverName: typeof serverName === "string" ? serverName : null,
    verify: plain || options["rejectUnauthorized"] !== false,
    authorization,
    proxy: cluster.proxyUrl ?? null,
    expires: earliest([cert === null ? undefined : certificateEnd(cert), tokenEnd(authorization), credential?.expires]),
  };
  return JSON.stringify(access);
}

/** An entry of a kubeconfig as it is written: the library passes over a part of it. */
interface WrittenEntry {
  readonly value: Decoder;
  /** Of the file, with a slash at its end: paths in it are relative to that. */
  readonly directory: string;
}

/** The entry of this name, an absent one where no file has it. */
function findEntry(path: string | undefined, list: "users" | "clusters", name: string | undefined): WrittenEntry {
  const { KUBECONFIG: several = "", HOME: home = "" } = process.env;
  const named = several.split(":").filter((each) => each !== "");
  const usual = named.length === 0 ? [`${home}/.kube/config`] : named;
  for (const file of path === undefined ? usual : [path]) {
    const text = findText(file);
    if (text === undefined) continue;
    const document = new Decoder(parseJson(JSON.stringify(loadYaml<unknown>(text))));
    const entries = document.field(list).list();
    const value = entries.find((entry) => entry.field("name").string() === name);
    if (value !== undefined) return { value, directory: file.slice(0, file.lastIndexOf("/") + 1) };
  }
  return { value: new Decoder(undefined), directory: "" };
}

async function askPlugin(user: WrittenEntry, cluster: WrittenEntry): Promise<ExecCredential | undefined> {
  const exec = user.value.field("user").field("exec");
  if (exec.absent) return undefined;
  const about = { value: cluster.value.field("cluster"), directory: cluster.directory };
  return await askExecPlugin({ exec, directory: user.directory, cluster: about });
}

/**
 * A user's tokenFile, which goes before its token, as client-go has it. The library (2.0.1) looks for it under another
 * name, `token-file`, that nobody writes.
 */
function authorizationByFile({ value, directory }: WrittenEntry): string | undefined {
  const file = value.field("user").field("tokenFile").string() ?? "";
  return file === "" ? undefined : `Bearer ${readText(file.startsWith("/") ? file : `${directory}${file}`).trim()}`;
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

/**
 * The plugin that a kubeconfig's user may name for credentials: a program that writes an ExecCredential
 * (client.authentication.k8s.io; client-go's plugin/pkg/client/auth/exec). The library runs one as well, but says nothing
 * of the cluster to it, and keeps to itself until when the credentials hold.
 */
import { Decoder, type Json, parseJson } from "../../base/decode.ts";
import { childEnvironment } from "../../sys/child.ts";
import { runProgram } from "../../sys/program.ts";
import { readNamedFile, type WrittenEntry } from "./written-kubeconfig.ts";

/** What a plugin gave. */
export interface ExecCredential {
  readonly token: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** Milliseconds since the epoch; undefined for what does not say when it ends. */
  readonly expires: number | undefined;
}

/** Where the plugin is named. */
export interface ExecPlace {
  /** The member `exec` of the kubeconfig's user. */
  readonly exec: Decoder;
  /** Of the kubeconfig, with a slash at its end: a relative path is relative to it. */
  readonly directory: string;
  /** For a plugin that wants to know of it. */
  readonly cluster: WrittenEntry;
}

const apiVersions: readonly string[] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
/** Less than its parent gives the process that waits for the plugin, so that this one says what took so long. */
const timeoutMilliseconds = 50_000;
/** The extension of a cluster that is meant for the plugin. */
const extensionName = "client.authentication.k8s.io/exec";

/** Runs the plugin. Rejects with an Error that names it. */
export async function askExecPlugin(place: ExecPlace): Promise<ExecCredential> {
  const { exec, directory } = place;
  const command = exec.field("command").string() ?? "";
  try {
    const apiVersion = exec.field("apiVersion").string() ?? "";
    if (command === "") throw new Error("it has no command");
    if (!apiVersions.includes(apiVersion)) {
      throw new Error(`its apiVersion is "${apiVersion}", and must be ${apiVersions.join(" or ")}`);
    }
    if (exec.field("interactiveMode").string() === "Always") {
      throw new Error("its interactiveMode is Always, but nobody is there whom it could ask");
    }
    const path = command.includes("/") && !command.startsWith("/") ? `${directory}${command}` : command;
    const words = exec.field("args").list().map(textOf);
    const environment = environmentOf(place, apiVersion);
    return readCredential(await runProgram([path, ...words], { environment, timeoutMilliseconds }), apiVersion);
  } catch (error) {
    const hint = exec.field("installHint").string()?.trim() ?? "";
    throw new Error(`Cannot use exec plugin "${command}"${hint === "" ? "" : ` (${hint})`}`, { cause: error });
  }
}

function environmentOf({ exec, cluster }: ExecPlace, apiVersion: string): Record<string, string> {
  const added = exec
    .field("env")
    .list()
    .map((entry) => [textOf(entry.field("name")), entry.field("value").string() ?? ""] as const);
  const told = exec.field("provideClusterInfo").boolean() === true ? { cluster: describeCluster(cluster) } : {};
  const info = { kind: "ExecCredential", apiVersion, spec: { ...told, interactive: false } };
  return childEnvironment(process.env, { ...Object.fromEntries(added), KUBERNETES_EXEC_INFO: JSON.stringify(info) });
}

/** The cluster as the plugin reads it: with the authority's certificates, not their file. */
function describeCluster(entry: WrittenEntry): Readonly<Record<string, Json>> {
  const { value: cluster } = entry;
  const names = ["server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url"];
  const described: Record<string, Json> = {};
  for (const name of names) described[name] = cluster.field(name).value ?? null;
  if (cluster.field("certificate-authority-data").absent) {
    const text = readNamedFile(entry, "certificate-authority");
    if (text !== undefined) described["certificate-authority-data"] = Buffer.from(text).toString("base64");
  }
  const extensions = cluster.field("extensions").list();
  const found = extensions.find((each) => each.field("name").string() === extensionName);
  described["config"] = found?.field("extension").value ?? null;
  return Object.fromEntries(Object.entries(described).filter(([, value]) => value !== null));
}

/** The refusals are client-go's. Throws an Error. */
function readCredential(text: string, apiVersion: string): ExecCredential {
  const credential = new Decoder(parseJson(text));
  const given = credential.field("apiVersion").string() ?? "";
  if (given !== apiVersion)
    throw new Error(`it answers with the apiVersion "${given}" where "${apiVersion}" is asked for`);
  const status = credential.field("status");
  const [token, cert, key] = ["token", "clientCertificateData", "clientKeyData"].map((name) => {
    const value = status.field(name).string() ?? "";
    return value === "" ? undefined : value;
  });
  if ((cert === undefined) !== (key === undefined)) throw new Error("it gives a certificate or a key, not both");
  if (token === undefined && cert === undefined) throw new Error("it gives neither a token nor a certificate");
  const end = status.field("expirationTimestamp").string();
  const expires = end === undefined ? undefined : Date.parse(end);
  if (Number.isNaN(expires)) throw new Error(`its expirationTimestamp "${end}" is no time`);
  return { token, cert, key, expires };
}

function textOf(value: Decoder): string {
  return value.string() ?? value.fail("a string");
}

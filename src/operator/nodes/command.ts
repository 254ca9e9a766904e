import { errorText } from "../../base/error.ts";
import { type NetworkConfig, parseNetworkConfig } from "../../lease/network-config.ts";
import { parseAnnotationPrefix } from "../../sources/kube/annotations.ts";
import { KubeApi } from "../../sources/kube/api.ts";
import { chooseCredentials } from "../../sources/kube/choose-credentials.ts";
import type { CoreV1Api, V1Node } from "../../sources/kube/client.ts";
import { findText } from "../../sys/file.ts";
import { standardStream, writeError, writeStream } from "../../sys/output.ts";
import {
  configMapKey,
  configMapName,
  type NodesOptions,
  nodesUsage,
  parseNodesOptions,
  usualNetConfPath,
} from "./options.ts";
import { changeLines, type Picture } from "./changes.ts";
import { type Client, type NodesFollower, NodesFollowing } from "./follow.ts";
import { listNodes } from "./list.ts";
import { readNode } from "./node.ts";
import { findTroubles } from "./troubles.ts";
import { overviewText } from "./overview.ts";

/** `tartan nodes`; returns the exit code. Rejects with a UsageError, or an Error that says why nodes cannot be listed. */
export async function nodesCommand(args: readonly string[]): Promise<number> {
  const request = parseNodesOptions(args);
  if (request.kind === "help") {
    writeStream(standardStream.output, nodesUsage);
    return 0;
  }
  const prefix = parseAnnotationPrefix(request.annotationPrefix);
  const { signal } = new AbortController();
  const client = await connect(request.kubeconfigFile, signal);
  const config = await findConfig(client.core, request);
  if (request.watch) return await new NodesFollowing(client, new Screen({ config, prefix }), signal).run();
  const { items } = await listNodes(client.core);
  const picture = readPicture(items, { config, prefix });
  writeStream(standardStream.output, overviewText({ ...picture, config }));
  return picture.troubles.size === 0 ? 0 : 1;
}

/** The library is loaded here, so that no other command waits for it. */
async function connect(kubeconfigFile: string, signal: AbortSignal): Promise<Client> {
  const { openCoreApi, readKubeconfig } = await import("../../sources/kube/client.ts");
  const credentials = chooseCredentials({ apiUrl: "", kubeconfigFile, env: process.env, readKubeconfig, report: warn });
  const api = new KubeApi(credentials);
  return { api, core: openCoreApi(api, signal) };
}

/** What objects are read and compared with. */
interface Reading {
  readonly config: NetworkConfig | undefined;
  readonly prefix: string;
}

function readPicture(objects: readonly V1Node[], reading: Reading): Picture {
  const nodes = objects.map((object) => readNode(object, reading.prefix));
  return { nodes, troubles: findTroubles(nodes, reading) };
}

/** Prints all nodes, and from then on what has changed, with the time. */
class Screen implements NodesFollower {
  readonly #reading: Reading;
  #last: Picture | undefined;

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  show(objects: readonly V1Node[]): void {
    const picture = readPicture(objects, this.#reading);
    const time = new Date().toISOString().replace(/\.\d+/, "");
    const text =
      this.#last === undefined
        ? overviewText({ ...picture, config: this.#reading.config })
        : changeLines(this.#last, picture)
            .map((line) => `${time} ${line}\n`)
            .join("");
    this.#last = picture;
    writeStream(standardStream.output, text);
  }

  lost(error: unknown, waitMs: number): void {
    warn(`${errorText(error)}; what has changed is asked for again in ${(waitMs / 1000).toFixed(1)} s`);
  }
}

/** The network; undefined, and told, where it cannot be read: all but one check goes without it. */
async function findConfig(core: CoreV1Api, options: NodesOptions): Promise<NetworkConfig | undefined> {
  const { netConfPath, namespace } = options;
  const path = netConfPath ?? usualNetConfPath;
  const text = findText(path);
  if (text !== undefined) return parseFile(path, text);
  if (netConfPath !== undefined) throw new Error(`Cannot read the network: no file "${netConfPath}"`);
  try {
    const { data } = await core.readNamespacedConfigMap({ namespace, name: configMapName });
    const found = data?.[configMapKey];
    if (found === undefined) throw new Error(`ConfigMap ${namespace}/${configMapName} has no "${configMapKey}"`);
    return parseNetworkConfig(found);
  } catch (error) {
    warn(`the network is not known, and no node compared with it: ${errorText(error)}`);
    return undefined;
  }
}

function parseFile(path: string, text: string): NetworkConfig {
  try {
    return parseNetworkConfig(text);
  } catch (error) {
    throw new Error(`Cannot use the flannel config "${path}"`, { cause: error });
  }
}

function warn(line: string): void {
  writeError(`tartan nodes: ${line}\n`);
}

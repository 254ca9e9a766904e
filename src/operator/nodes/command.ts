import { errorText } from "../../base/error.ts";
import { type NetworkConfig, parseNetworkConfig } from "../../lease/network-config.ts";
import { parseAnnotationPrefix } from "../../sources/kube/annotations.ts";
import { KubeApi } from "../../sources/kube/api.ts";
import { chooseCredentials } from "../../sources/kube/choose-credentials.ts";
import type { CoreV1Api } from "../../sources/kube/client.ts";
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
import { type ClusterNode, readNode } from "./node.ts";
import { findTroubles } from "./troubles.ts";
import { overviewText } from "./overview.ts";

const pageSize = 500;

/** `tartan nodes`; returns the exit code. Rejects with a UsageError, or an Error that says why nodes cannot be listed. */
export async function nodesCommand(args: readonly string[]): Promise<number> {
  const request = parseNodesOptions(args);
  if (request.kind === "help") {
    writeStream(standardStream.output, nodesUsage);
    return 0;
  }
  const prefix = parseAnnotationPrefix(request.annotationPrefix);
  const core = await connect(request.kubeconfigFile);
  const config = await findConfig(core, request);
  const nodes = await listNodes(core, prefix);
  const troubles = findTroubles(nodes, { config, prefix });
  writeStream(standardStream.output, overviewText({ nodes, config, troubles }));
  return troubles.size === 0 ? 0 : 1;
}

/** The library is loaded here, so that no other command waits for it. */
async function connect(kubeconfigFile: string): Promise<CoreV1Api> {
  const { openCoreApi, readKubeconfig } = await import("../../sources/kube/client.ts");
  const credentials = chooseCredentials({ apiUrl: "", kubeconfigFile, env: process.env, readKubeconfig, report: warn });
  return openCoreApi(new KubeApi(credentials), new AbortController().signal);
}

async function listNodes(core: CoreV1Api, prefix: string): Promise<readonly ClusterNode[]> {
  const nodes: ClusterNode[] = [];
  let next: string | undefined;
  do {
    const page = await core.listNode({ limit: pageSize, ...(next === undefined ? {} : { _continue: next }) });
    if (page.kind !== "NodeList") throw new Error("Cannot list nodes: the server's answer is no list of nodes");
    nodes.push(...page.items.map((node) => readNode(node, prefix)));
    // oxlint-disable-next-line no-underscore-dangle -- what the library makes of `continue`
    next = page.metadata?._continue;
  } while (next !== undefined && next !== "");
  return nodes;
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

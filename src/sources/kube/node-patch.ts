/** Changes to this node's own object: strategic merge patches of its status subresource, as upstream sends them. */
import { type KubeApi, protobufType } from "./api.ts";
import { openEnvelope } from "./envelope.ts";
import type { Annotations } from "./node-lease.ts";
import { findNetworkCondition, type NodeDecoder } from "./node-record.ts";
import type { OwnNode } from "./node-table.ts";

const patchType = "application/strategic-merge-patch+json";

/** Where and as whom changes are made. */
export interface NodePatcher {
  readonly api: KubeApi;
  readonly nodes: NodeDecoder;
  readonly signal: AbortSignal;
}

/** The reason that flannel gives for the condition. */
export const networkReason = "FlannelIsUp";

/** Sets annotations. Returns the node as it is afterwards. Rejects with an ApiError, code 404 when there is no such node. */
export function patchAnnotations(
  patcher: NodePatcher,
  name: string,
  { prefix, annotations }: { readonly prefix: string; readonly annotations: Annotations },
): Promise<OwnNode> {
  const named = Object.fromEntries(Array.from(annotations, ([key, value]) => [`${prefix}${key}`, value]));
  return patchNode(patcher, name, { what: "annotate", patch: { metadata: { annotations: named } } });
}

/** Says that the node's network is there: the condition NetworkUnavailable is False. Returns the node as it is then. */
export function patchCondition(patcher: NodePatcher, name: string): Promise<OwnNode> {
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const condition = {
    type: "NetworkUnavailable",
    status: "False",
    reason: networkReason,
    message: "Flannel is running on this node",
    lastTransitionTime: now,
    lastHeartbeatTime: now,
  };
  return patchNode(patcher, name, { what: "set condition of", patch: { status: { conditions: [condition] } } });
}

async function patchNode(
  { api, nodes, signal }: NodePatcher,
  name: string,
  { what, patch }: { readonly what: string; readonly patch: object },
): Promise<OwnNode> {
  const bytes = await api.ask(
    {
      what: `${what} node "${name}"`,
      method: "PATCH",
      path: `/api/v1/nodes/${encodeURIComponent(name)}/status`,
      accept: protobufType,
      body: { type: patchType, text: JSON.stringify(patch) },
    },
    signal,
  );
  const record = nodes.decode(openEnvelope(bytes).object);
  return { record, condition: findNetworkCondition(openEnvelope(bytes).object) };
}

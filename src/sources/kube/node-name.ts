import { type ApiRequest, type KubeApi, protobufType } from "./api.ts";
import { openEnvelope } from "./envelope.ts";

/** How a node learns its name: it is told, or it asks in which node its pod runs. */
export type NodeIdentity =
  | { readonly kind: "node"; readonly name: string }
  | { readonly kind: "pod"; readonly namespace: string; readonly name: string };

/** Reads who this is from the environment, as upstream does: NODE_NAME wins over POD_NAME and POD_NAMESPACE. */
export function findIdentity(env: Readonly<Record<string, string | undefined>>): NodeIdentity | undefined {
  const { NODE_NAME: node = "", POD_NAME: name = "", POD_NAMESPACE: namespace = "" } = env;
  if (node !== "") return { kind: "node", name: node };
  return name === "" || namespace === "" ? undefined : { kind: "pod", namespace, name };
}

/** The node's name. Rejects with an Error while it cannot be told. */
export async function askNodeName(identity: NodeIdentity, api: KubeApi, signal: AbortSignal): Promise<string> {
  if (identity.kind === "node") return identity.name;
  const { namespace, name } = identity;
  const request: ApiRequest = {
    what: `get pod "${namespace}/${name}"`,
    method: "GET",
    path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`,
    accept: protobufType,
  };
  let bytes: Uint8Array;
  try {
    bytes = await api.ask(request, signal);
  } catch (error) {
    throw new Error(`error retrieving pod spec for '${namespace}/${name}'`, { cause: error });
  }
  const found = findPodNode(bytes);
  if (found === "") throw new Error(`node name not present in pod spec '${namespace}/${name}'`);
  return found;
}

/** Pod: spec 2; PodSpec: nodeName 10. */
function findPodNode(bytes: Uint8Array): string {
  const { object } = openEnvelope(bytes);
  while (object.next()) {
    if (object.number !== 2) continue;
    const spec = object.message();
    while (spec.next()) if (spec.number === 10) return spec.text();
  }
  return "";
}

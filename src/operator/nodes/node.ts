import type { V1Node, V1NodeCondition } from "../../sources/kube/client.ts";
import { type AnnotationName, isAnnotationName } from "../../sources/kube/annotations.ts";

/** What `tartan nodes` takes of a Node object. */
export interface ClusterNode {
  readonly name: string;
  readonly podCidrs: readonly string[];
  /** Those of flannel's, by name without prefix. */
  readonly annotations: ReadonlyMap<AnnotationName, string>;
  /** Reason and message of the condition NetworkUnavailable, where that is not False; undefined also without it. */
  readonly unavailable: string | undefined;
}

/** Reads a Node object; `prefix` as it stands before the names of annotations. */
export function readNode({ metadata, spec, status }: V1Node, prefix: string): ClusterNode {
  const annotations = new Map<AnnotationName, string>();
  for (const [key, value] of Object.entries(metadata?.annotations ?? {})) {
    const name = key.startsWith(prefix) ? key.slice(prefix.length) : "";
    if (isAnnotationName(name)) annotations.set(name, value);
  }
  const podCidr = spec?.podCIDR ?? "";
  const condition = status?.conditions?.find(({ type }) => type === "NetworkUnavailable");
  return {
    name: metadata?.name ?? "",
    podCidrs: spec?.podCIDRs ?? (podCidr === "" ? [] : [podCidr]),
    annotations,
    unavailable: condition === undefined || condition.status === "False" ? undefined : conditionText(condition),
  };
}

function conditionText({ status, reason = "", message = "" }: V1NodeCondition): string {
  return [`${status} ${reason}`.trim(), message].filter((part) => part !== "").join(": ");
}

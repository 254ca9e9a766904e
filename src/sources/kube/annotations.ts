/** The annotations by which flannel's nodes know each other; upstream's pkg/subnet/kube/annotations.go. */

/** A node that does not have exactly "true" there is none of flannel's. */
const managed = "kube-subnet-manager";

/** The annotations that every node writes about itself and reads of the others. */
const published = ["backend-type", "backend-data", "backend-v6-data", "public-ip", "public-ipv6"] as const;

/** The annotations by which an administrator tells a node what to publish; only the node itself reads them. */
const wished = ["node-public-ip", "node-public-ipv6", "public-ip-overwrite", "public-ipv6-overwrite"] as const;

/** The name of an annotation of flannel's, without the prefix. */
export type AnnotationName = typeof managed | (typeof published)[number] | (typeof wished)[number];

const names: ReadonlySet<string> = new Set<AnnotationName>([managed, ...published, ...wished]);

/** True for the name, without the prefix, of an annotation that is read. */
export function isAnnotationName(name: string): name is AnnotationName {
  return names.has(name);
}

/**
 * The prefix as it stands before the names, made from what the flag says: `flannel.alpha.coreos.com` becomes
 * `flannel.alpha.coreos.com/`, `a.b/c` becomes `a.b/c-`. Throws an Error with upstream's words.
 */
export function parseAnnotationPrefix(text: string): string {
  const slashed = text.includes("/") ? text : `${text}/`;
  if (slashed.split("/").length > 2) throw new Error("subnet/kube: prefix can contain at most single slash");
  const prefix = /[/-]$/.test(slashed) ? slashed : `${slashed}-`;
  if (!/^(?:[a-z0-9_-]+\.)+[a-z0-9_-]+\/[a-z0-9_-]*$/.test(prefix)) {
    throw new Error("subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*");
  }
  return prefix;
}

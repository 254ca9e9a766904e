/** flannel's flags: what each is, and which of them tartan has. Names and defaults are upstream's (main.go). */

/** How a flag's value is written. */
export type FlagKind = "string" | "list" | "boolean" | "integer";

/** One flag. */
export interface FlagSpec {
  readonly kind: FlagKind;
  /** As one would write it. */
  readonly default: string;
  readonly description: string;
  /** Why another value than the default is refused; undefined for a flag that works. */
  readonly missing: string | undefined;
}

const etcd = "the lease source etcd";
const kubernetes = "the lease source Kubernetes";
const ipv6 = "IPv6";
const choice = "this way to choose the interface";
const klog = "this way to log";

/** Every flag by its name. */
export const flagTable: Readonly<Record<string, FlagSpec>> = {
  "lease-dir": works("string", "", "directory with the network's config and the leases of all nodes"),
  iface: works("list", "", "external interface, by address or name; of several the first that is there"),
  "public-ip": works("string", "", "IPv4 address that other nodes send to (default: the interface's own)"),
  "subnet-file": works("string", "/run/flannel/subnet.env", "file that tells the CNI plugin this node's subnet"),
  "healthz-ip": works("string", "0.0.0.0", "address that the health server listens on"),
  "healthz-port": works("integer", "0", "port that the health server listens on; 0 for none"),
  "ip-masq": works("boolean", "false", "masquerade what pods send out of the pod network"),
  "ip-masq-fully-random-disable": works("boolean", "false", "do not choose the ports of masqueraded packets at random"),
  "iptables-forward-rules": works(
    "boolean",
    "true",
    "accept pods' packets where the host would drop them (Default: true)",
  ),
  "iptables-resync": works("integer", "5", "accepted for flannel's sake: rules are put right as soon as they change"),
  version: works("boolean", "false", "print version and commit"),
  help: works("boolean", "false", "print this text"),

  "etcd-endpoints": refused("string", "http://127.0.0.1:4001,http://127.0.0.1:2379", etcd),
  "etcd-prefix": refused("string", "/coreos.com/network", etcd),
  "etcd-keyfile": refused("string", "", etcd),
  "etcd-certfile": refused("string", "", etcd),
  "etcd-cafile": refused("string", "", etcd),
  "etcd-username": refused("string", "", etcd),
  "etcd-password": refused("string", "", etcd),
  "subnet-lease-renew-margin": refused("integer", "60", etcd),
  "kube-subnet-mgr": refused("boolean", "false", kubernetes),
  "kube-api-url": refused("string", "", kubernetes),
  "kube-annotation-prefix": refused("string", "flannel.alpha.coreos.com", kubernetes),
  "kubeconfig-file": refused("string", "", kubernetes),
  "net-config-path": refused("string", "/etc/kube-flannel/net-conf.json", kubernetes),
  "set-node-network-unavailable": refused("boolean", "true", kubernetes),
  "iface-regex": refused("list", "", choice),
  "iface-can-reach": refused("string", "", choice),
  "public-ipv6": refused("string", "", ipv6),
  "ip-blackhole-route": refused("boolean", "false", "the blackhole route of the node's subnet"),
  v: refused("integer", "0", klog),
  vmodule: refused("string", "", klog),
  log_backtrace_at: refused("string", "", klog),
};

/** The flag of this name, undefined when there is none. */
export function findFlag(name: string): FlagSpec | undefined {
  return Object.hasOwn(flagTable, name) ? flagTable[name] : undefined;
}

function works(kind: FlagKind, initial: string, description: string): FlagSpec {
  return { kind, default: initial, description, missing: undefined };
}

function refused(kind: FlagKind, initial: string, missing: string): FlagSpec {
  return { kind, default: initial, description: "", missing };
}

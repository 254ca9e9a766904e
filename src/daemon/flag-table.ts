/** flannel's flags: what each is, and which of them tartan has. Names and defaults are upstream's (main.go). */

/** How a flag's value is written; a level is klog's, which takes decimal digits only. */
export type FlagKind = "string" | "list" | "boolean" | "integer" | "level";

/** One flag. */
export interface FlagSpec {
  readonly kind: FlagKind;
  /** As one would write it. */
  readonly default: string;
  readonly description: string;
  /** Why another value than the default is refused; undefined for a flag that is not. */
  readonly missing: string | undefined;
  /** Why it has no effect although it is taken; undefined for a flag that has one. */
  readonly idle: string | undefined;
}

const etcd = "the lease source etcd";
const ipv6 = "IPv6";
const klog = "what flanneld does is always logged in full, one line for each event";

/** Every flag by its name. */
export const flagTable: Readonly<Record<string, FlagSpec>> = {
  "lease-dir": works("string", "", "directory with the network's config and the leases of all nodes"),
  iface: works("list", "", "external interface, by address or name; of several the first that is there"),
  "iface-regex": works("list", "", "external interface, by what its address or name matches; tried after --iface"),
  "iface-can-reach": works("string", "", "external interface, by an address it leads to; tried after --iface-regex"),
  "public-ip": works("string", "", "IPv4 address that other nodes send to (default: the interface's own)"),
  "kube-subnet-mgr": works("boolean", "false", "take the leases from the Node objects of Kubernetes"),
  "kube-api-url": works("string", "", "URL of the API server (default: what the pod or the kubeconfig says)"),
  "kubeconfig-file": works("string", "", "kubeconfig (default: the pod's service account)"),
  "kube-annotation-prefix": works("string", "flannel.alpha.coreos.com", "what the nodes' annotations begin with"),
  "net-config-path": works("string", "/etc/kube-flannel/net-conf.json", "network configuration, with Kubernetes"),
  "set-node-network-unavailable": works("boolean", "true", "set the node's condition NetworkUnavailable to False"),
  "state-dir": works("string", "/var/lib/tartan", "directory for what a start without the API server needs"),
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
  version: works("boolean", "false", "print version and commit"),
  help: works("boolean", "false", "print this text"),

  "etcd-endpoints": refused("string", "http://127.0.0.1:4001,http://127.0.0.1:2379", etcd),
  "etcd-prefix": refused("string", "/coreos.com/network", etcd),
  "etcd-keyfile": refused("string", "", etcd),
  "etcd-certfile": refused("string", "", etcd),
  "etcd-cafile": refused("string", "", etcd),
  "etcd-username": refused("string", "", etcd),
  "etcd-password": refused("string", "", etcd),
  "subnet-lease-renew-margin": idle("integer", "60", "a lease of this source does not expire"),
  "public-ipv6": refused("string", "", ipv6),
  "iptables-resync": idle("integer", "5", "what changes in the kernel is seen when it happens"),
  "ip-blackhole-route": refused("boolean", "false", "the blackhole route of the node's subnet"),
  v: idle("level", "0", klog),
  vmodule: idle("string", "", klog),
  log_backtrace_at: idle("string", "", klog),
};

/** The flag of this name, undefined when there is none. */
export function findFlag(name: string): FlagSpec | undefined {
  return Object.hasOwn(flagTable, name) ? flagTable[name] : undefined;
}

function works(kind: FlagKind, initial: string, description: string): FlagSpec {
  return { kind, default: initial, description, missing: undefined, idle: undefined };
}

function refused(kind: FlagKind, initial: string, missing: string): FlagSpec {
  return { kind, default: initial, description: "", missing, idle: undefined };
}

function idle(kind: FlagKind, initial: string, reason: string): FlagSpec {
  return { kind, default: initial, description: "", missing: undefined, idle: reason };
}

import { readWords } from "../words.ts";

/** What a person asked `tartan nodes` for. */
export type NodesRequest = ({ readonly kind: "show" } & NodesOptions) | { readonly kind: "help" };

/** Where to look. */
export interface NodesOptions {
  /** Empty for the pod's service account or the default one. */
  readonly kubeconfigFile: string;
  /** As the daemon's flag has it. */
  readonly annotationPrefix: string;
  /** The file that has the network; undefined for the usual one, and without it the ConfigMap. */
  readonly netConfPath: string | undefined;
  /** The namespace of the ConfigMap. */
  readonly namespace: string;
  /** True to go on and tell what changes. */
  readonly watch: boolean;
}

const defaultPrefix = "flannel.alpha.coreos.com";
const defaultNamespace = "kube-flannel";
/** Where flannel's manifest puts the network for the daemon. */
export const usualNetConfPath = "/etc/kube-flannel/net-conf.json";
/** The ConfigMap of flannel's manifest, and the key that has the network. */
export const configMapName = "kube-flannel-cfg";
export const configMapKey = "net-conf.json";

const known = {
  values: ["--kubeconfig", "--kube-annotation-prefix", "--net-config-path", "--namespace"],
  flags: ["--watch", "-w", "--help", "-h"],
};

/** What `tartan nodes --help` prints. */
export const nodesUsage: string = `Usage: tartan nodes [OPTION]...

Lists the nodes of a Kubernetes cluster as flannel's daemons see each other: pod CIDR, public IP, backend and what it
publishes; then what is wrong with them. Nothing is changed. Rights to list nodes are needed, with --watch to watch them as
well; the network is read once, from the file that a daemon's pod has, else from the ConfigMap.

  --kubeconfig FILE   how to reach the API server (default: the service account in a pod, else KUBECONFIG or
                      ~/.kube/config)
  --kube-annotation-prefix PREFIX
                      what the daemons have as --kube-annotation-prefix (default: ${defaultPrefix})
  --net-config-path FILE
                      the network (default: ${usualNetConfPath}, else ConfigMap ${configMapName})
  --namespace NAME    of the ConfigMap (default: ${defaultNamespace})
  --watch, -w         go on, and print a line for each thing that changes, until it is interrupted
  --help              print this

Exit code 0 when nothing is wrong, 1 when something is or the API server cannot be asked, 2 for a wrong option.
`;

/** Reads the words behind `tartan nodes`. Throws a UsageError that names what is wrong. */
export function parseNodesOptions(args: readonly string[]): NodesRequest {
  const { values, flags } = readWords("nodes", args, known);
  if (flags.has("--help") || flags.has("-h")) return { kind: "help" };
  return {
    kind: "show",
    kubeconfigFile: values.get("--kubeconfig") ?? "",
    annotationPrefix: values.get("--kube-annotation-prefix") ?? defaultPrefix,
    netConfPath: values.get("--net-config-path"),
    namespace: values.get("--namespace") ?? defaultNamespace,
    watch: flags.has("--watch") || flags.has("-w"),
  };
}

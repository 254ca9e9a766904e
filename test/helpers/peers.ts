import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { coreDnsBuild, etcdBuild, flanneldBuild, kubernetesBuild } from "./peer-modules.ts";
import type { ModuleBuild } from "./peer-modules.ts";

/** Programs of other projects, built from one version of one Go module. */
export interface PeerSource {
  readonly version: string;
  /** A module of our own around it, for one that `go install` refuses or that is wanted in another shape. */
  readonly module: ModuleBuild | undefined;
  /** The paths of the packages, without the version. */
  readonly packages: readonly string[];
  /** The programs that come out of it, as many as packages and in their order. */
  readonly programs: readonly string[];
  /** Files of the module by their paths in it, each with the name under which it is kept beside the programs. */
  readonly documents: Readonly<Record<string, string>>;
}

const none: Readonly<Record<string, string>> = {};

/** The name of a peer. */
export type PeerName =
  | "cni-plugins"
  | "cnitool"
  | "containerd"
  | "coredns"
  | "etcd"
  | "flannel-cni"
  | "flanneld"
  | "kubernetes";

/** The programs that the tests are measured against, by the name a test asks for them. */
export const peers: Readonly<Record<PeerName, PeerSource>> = {
  // The reference CNI plugins: what a node has beside flannel.
  "cni-plugins": {
    version: "v1.9.1",
    module: undefined,
    packages: [
      "github.com/containernetworking/plugins/plugins/main/bridge",
      "github.com/containernetworking/plugins/plugins/main/loopback",
      "github.com/containernetworking/plugins/plugins/main/ptp",
      "github.com/containernetworking/plugins/plugins/ipam/host-local",
      "github.com/containernetworking/plugins/plugins/ipam/static",
      "github.com/containernetworking/plugins/plugins/meta/bandwidth",
      "github.com/containernetworking/plugins/plugins/meta/portmap",
      "github.com/containernetworking/plugins/plugins/meta/tuning",
    ],
    programs: ["bridge", "loopback", "ptp", "host-local", "static", "bandwidth", "portmap", "tuning"],
    documents: none,
  },
  // The CNI project's own runtime for one pod, and its plugin that writes down how it is called.
  cnitool: {
    version: "v1.3.0",
    module: undefined,
    packages: ["github.com/containernetworking/cni/cnitool", "github.com/containernetworking/cni/plugins/test/noop"],
    programs: ["cnitool", "noop"],
    documents: none,
  },
  // The container runtime in a newer version than Debian's; it is executed with Debian's runc.
  containerd: {
    version: "v2.2.0",
    module: { requires: { "github.com/containerd/containerd/v2": "v2.2.0" } },
    packages: [
      "github.com/containerd/containerd/v2/cmd/containerd",
      "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
      "github.com/containerd/containerd/v2/cmd/ctr",
    ],
    programs: ["containerd", "containerd-shim-runc-v2", "ctr"],
    documents: none,
  },
  // The cluster's DNS, with the plugins that a cluster's usual Corefile names.
  coredns: { version: "v1.12.4", module: coreDnsBuild, packages: ["."], programs: ["coredns"], documents: none },
  // What the API server keeps its objects in, in the version that this Kubernetes is tested with.
  etcd: { version: "v3.6.4", module: etcdBuild, packages: ["."], programs: ["etcd"], documents: none },
  // The flannel CNI plugin, in the last version that its first repository had.
  "flannel-cni": {
    version: "v0.9.1",
    module: undefined,
    packages: ["github.com/containernetworking/plugins/plugins/meta/flannel"],
    programs: ["flannel"],
    documents: none,
  },
  // The daemon that ours stands in for, and what installs its network configuration.
  flanneld: {
    version: "v0.28.9",
    module: flanneldBuild,
    packages: ["github.com/flannel-io/flannel", "github.com/flannel-io/flannel/cmd/install_conf"],
    programs: ["flanneld", "install-conf"],
    documents: { "Documentation/kube-flannel.yml": "kube-flannel.yml" },
  },
  kubernetes: {
    version: "v1.34.4",
    module: kubernetesBuild,
    packages: [
      "k8s.io/kubernetes/cmd/kube-apiserver",
      "k8s.io/kubernetes/cmd/kube-controller-manager",
      "k8s.io/kubernetes/cmd/kube-proxy",
      "k8s.io/kubernetes/cmd/kube-scheduler",
      "k8s.io/kubernetes/cmd/kubectl",
      "k8s.io/kubernetes/cmd/kubelet",
    ],
    programs: ["kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"],
    documents: none,
  },
};

/** True for the name of a peer. */
export function isPeerName(name: string): name is PeerName {
  return Object.hasOwn(peers, name);
}

/** Every peer's name. */
export function peerNames(): readonly PeerName[] {
  return Object.keys(peers).filter(isPeerName);
}

/** Where the peers are kept between runs, outside the repository. */
function peerCache(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tartan", "peers");
}

/** The directory of a peer's programs. Its name has the version, so another version never stands in. */
export function peerDirectory(name: PeerName): string {
  return join(peerCache(), `${name}-${peers[name].version}`);
}

/** The path of one program or document of a peer. */
export function peerProgram(name: PeerName, program: string): string {
  return join(peerDirectory(name), program);
}

/** The programs and documents of a peer that are not there. */
export function missingPeerPrograms(name: PeerName): readonly string[] {
  const { programs, documents } = peers[name];
  return [...programs, ...Object.values(documents)].filter((file) => !existsSync(peerProgram(name, file)));
}

/**
 * The Go modules of our own in which peers are built that `go install` cannot build: a module that requires another takes
 * what that one's go.mod requires, and is not bound to what it excludes or replaces.
 */

/** A module of our own, made for one build. */
export interface ModuleBuild {
  /** Modules and their versions. */
  readonly requires: Readonly<Record<string, string>>;
  /** Modules taken in another version than the one asked for, where that one is not to be had. */
  readonly replaces?: Readonly<Record<string, string>>;
  /** The main package of the module itself, for a program in a shape of our own. */
  readonly main?: string;
  /** True for what does not compile without a C compiler. */
  readonly cgo?: boolean;
  /** Flags for Go's linker, beside those that leave out the symbols. */
  readonly linkerFlags?: readonly string[];
}

const kubernetesVersion = { full: "v1.34.4", major: "1", minor: "34", modules: "v0.34.4" } as const;

/** What the Kubernetes repository holds as modules of their own: its go.mod replaces each by a directory. */
const kubernetesModules = [
  "api",
  "apiextensions-apiserver",
  "apimachinery",
  "apiserver",
  "cli-runtime",
  "client-go",
  "cloud-provider",
  "cluster-bootstrap",
  "component-base",
  "component-helpers",
  "controller-manager",
  "cri-api",
  "cri-client",
  "csi-translation-lib",
  "dynamic-resource-allocation",
  "endpointslice",
  "externaljwt",
  "kms",
  "kube-aggregator",
  "kube-controller-manager",
  "kube-proxy",
  "kube-scheduler",
  "kubectl",
  "kubelet",
  "metrics",
  "mount-utils",
  "pod-security-admission",
] as const;

/** Without its version kubectl cannot compare itself with the server. */
function versionFlags(variables: string): readonly string[] {
  const { full, major, minor } = kubernetesVersion;
  const values = { gitVersion: full, gitMajor: major, gitMinor: minor, gitTreeState: "clean" };
  return Object.entries(values).map(([name, value]) => `-X ${variables}.${name}=${value}`);
}

export const kubernetesBuild: ModuleBuild = {
  requires: { "k8s.io/kubernetes": kubernetesVersion.full },
  replaces: Object.fromEntries(kubernetesModules.map((name) => [`k8s.io/${name}`, kubernetesVersion.modules])),
  linkerFlags: [...versionFlags("k8s.io/component-base/version"), ...versionFlags("k8s.io/client-go/pkg/version")],
};

export const etcdBuild: ModuleBuild = {
  requires: { "go.etcd.io/etcd/server/v3": "v3.6.4" },
  main: `package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
`,
};

const tencentcloud = "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud";

export const flanneldBuild: ModuleBuild = {
  requires: { "github.com/flannel-io/flannel": "v0.28.9" },
  // The versions that it asks for are in no public module proxy; only the backend of that cloud uses them.
  replaces: { [`${tencentcloud}/common`]: "v1.0.1000", [`${tencentcloud}/vpc`]: "v1.0.1000" },
  cgo: true,
  linkerFlags: ["-X github.com/flannel-io/flannel/pkg/version.Version=v0.28.9"],
};

const coreDnsPlugins = [
  "bind",
  "cache",
  "errors",
  "forward",
  "health",
  "kubernetes",
  "loadbalance",
  "log",
  "loop",
  "ready",
  "reload",
  "whoami",
] as const;

export const coreDnsBuild: ModuleBuild = {
  requires: { "github.com/coredns/coredns": "v1.12.4" },
  // All of its plugins would bring in the client libraries of four clouds.
  main: `package main

import (
	"github.com/coredns/coredns/coremain"

${coreDnsPlugins.map((name) => `	_ "github.com/coredns/coredns/plugin/${name}"\n`).join("")})

func main() {
	coremain.Run()
}
`,
};

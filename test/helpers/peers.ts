import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Programs of other projects, built from one version of one Go module. */
export interface PeerSource {
  readonly version: string;
  /** The module, for one that `go install` refuses because its go.mod excludes or replaces versions of others. */
  readonly module: string | undefined;
  /** The paths of the packages, without the version. */
  readonly packages: readonly string[];
  /** The programs that come out of it. */
  readonly programs: readonly string[];
}

/** The name of a peer. */
export type PeerName = "cni-plugins" | "cnitool" | "containerd" | "flannel-cni";

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
  },
  // The CNI project's own runtime for one pod, and its plugin that writes down how it is called.
  cnitool: {
    version: "v1.3.0",
    module: undefined,
    packages: ["github.com/containernetworking/cni/cnitool", "github.com/containernetworking/cni/plugins/test/noop"],
    programs: ["cnitool", "noop"],
  },
  // The container runtime in a newer version than Debian's; it is executed with Debian's runc.
  containerd: {
    version: "v2.2.0",
    module: "github.com/containerd/containerd/v2",
    packages: [
      "github.com/containerd/containerd/v2/cmd/containerd",
      "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
      "github.com/containerd/containerd/v2/cmd/ctr",
    ],
    programs: ["containerd", "containerd-shim-runc-v2", "ctr"],
  },
  // The flannel CNI plugin, in the last version that its first repository had.
  "flannel-cni": {
    version: "v0.9.1",
    module: undefined,
    packages: ["github.com/containernetworking/plugins/plugins/meta/flannel"],
    programs: ["flannel"],
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

/** The path of one program of a peer. */
export function peerProgram(name: PeerName, program: string): string {
  return join(peerDirectory(name), program);
}

/** The programs of a peer that are not there. */
export function missingPeerPrograms(name: PeerName): readonly string[] {
  return peers[name].programs.filter((program) => !existsSync(peerProgram(name, program)));
}

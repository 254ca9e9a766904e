import { peerDirectory } from "../helpers/peers.ts";
import { addresses } from "./addresses.ts";
import { imageNames } from "./images.ts";

/** One of the versions of containerd that a node can have: Debian's 1.6, or the newest. */
export type ClusterContainerd = "distribution" | "2.2";

/** Where a node's containerd listens, as the node sees it. */
const containerdSocket = "/run/containerd/containerd.sock";

/** The search path with which the programs of a containerd are found. */
export function containerdPath(version: ClusterContainerd): string {
  const path = process.env["PATH"] ?? "";
  return version === "2.2" ? `${peerDirectory("containerd")}:${path}` : path;
}

/**
 * The runtime's configuration. `restrict_oom_score_adj`: where root lacks CAP_SYS_RESOURCE, runc could not give a pod the
 * score that the kubelet asks for.
 */
export function containerdConfig(version: ClusterContainerd): string {
  return version === "2.2" ? newConfig : oldConfig;
}

const places = `root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${containerdSocket}"
[metrics]
  address = "127.0.0.1:1338"
`;

const newConfig = `version = 3
${places}
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${imageNames.pause}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
`;

const oldConfig = `version = 2
${places}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${imageNames.pause}"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
`;

/** The kubelet's configuration; \`cgroup\` is the node's own, below which it makes those of the pods. */
export function kubeletConfig(cgroup: string, authority: string): string {
  const empty = { "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%" };
  return JSON.stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: authority },
    },
    authorization: { mode: "Webhook" },
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${cgroup}`,
    clusterDNS: [addresses.dnsService],
    clusterDomain: "cluster.local",
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    enforceNodeAllocatable: [],
    evictionHard: { ...empty, "imagefs.available": "0%", "imagefs.inodesFree": "0%" },
    failCgroupV1: false,
    failSwapOn: false,
    kubeAPIBurst: 200,
    kubeAPIQPS: 100,
    resolvConf: "",
    staticPodPath: "/var/lib/kubelet/manifests",
    volumePluginDir: "/var/lib/kubelet/volume-plugins",
  });
}

/**
 * What a node's first process does beside what every test node's does: the name, the devices of its own network below
 * /sys, a cgroup of its own in every hierarchy, and mounts that its pods may share.
 */
export function nodeSetup(hostName: string): string {
  return `
echo ${hostName} >/proc/sys/kernel/hostname
mkdir -p "$root/cgroups" "$root/log" "$root/var/lib/kubelet/manifests"
mount --rbind /sys/fs/cgroup "$root/cgroups"
mount -t sysfs sysfs /sys
mount --rbind "$root/cgroups" /sys/fs/cgroup
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir -p "/sys/fs/cgroup/$CGROUP/init"
  echo 0 >"/sys/fs/cgroup/$CGROUP/init/cgroup.procs"
else
  for hierarchy in /sys/fs/cgroup/*; do
    if [ ! -e "$hierarchy/cgroup.procs" ]; then continue; fi
    mkdir -p "$hierarchy/$CGROUP"
    for file in cpuset.cpus cpuset.mems; do
      if [ -e "$hierarchy/$file" ]; then cat "$hierarchy/$file" >"$hierarchy/$CGROUP/$file"; fi
    done
    echo 0 >"$hierarchy/$CGROUP/cgroup.procs"
  done
fi
mount --make-rshared /
`;
}

/** Shell that moves itself into the node's cgroup, sends its output to the file that comes first, and becomes the rest. */
export const daemonScript = `
log=$1
shift
for file in /sys/fs/cgroup/$CGROUP/init/cgroup.procs /sys/fs/cgroup/*/$CGROUP/cgroup.procs; do
  if [ -e "$file" ]; then echo 0 >"$file"; fi
done
exec "$@" >>"$log" 2>&1
`;

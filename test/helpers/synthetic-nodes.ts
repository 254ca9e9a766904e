import type { ApiServer, JsonObject } from "./api-server.ts";

/** Requests that are under way at once. */
const lanes = 12;

/** The names of so many nodes. */
export function syntheticNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `synthetic-${String(index).padStart(4, "0")}`);
}

/**
 * Makes nodes as large as real ones, 12 to 13 KB as JSON: labels, annotations of flannel and others, conditions, and the
 * images that a kubelet reports. Nobody runs them.
 */
export async function createSyntheticNodes(server: ApiServer, count: number): Promise<void> {
  const waiting = [...syntheticNames(count).entries()];
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        await server.ask("POST", "/api/v1/nodes", syntheticNode(next[1], next[0]));
      }
    }),
  );
}

/** What a kubelet does every few minutes: a new heartbeat in the node's conditions. */
export async function touchNode(server: ApiServer, name: string): Promise<void> {
  const patch = {
    status: { conditions: [{ ...condition("Ready", "True"), lastHeartbeatTime: new Date().toISOString() }] },
  };
  await server.ask("PATCH", `/api/v1/nodes/${name}/status`, patch, "application/strategic-merge-patch+json");
}

function syntheticNode(name: string, index: number): JsonObject {
  const [high, low] = [index >> 8, index & 0xff];
  const cidr = `10.${100 + high}.${low}.0/24`;
  const address = `192.168.${100 + high}.${low}`;
  const mac = [2, 0, 0, 0, high, low].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  const flannel = "flannel.alpha.coreos.com";
  return {
    metadata: {
      name,
      labels: {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "m5.2xlarge",
        "topology.kubernetes.io/region": "eu-central-1",
        "topology.kubernetes.io/zone": `eu-central-1${"abc"[index % 3] ?? "a"}`,
      },
      annotations: {
        [`${flannel}/backend-data`]: JSON.stringify({ VNI: 1, VtepMAC: mac }),
        [`${flannel}/backend-type`]: "vxlan",
        [`${flannel}/kube-subnet-manager`]: "true",
        [`${flannel}/public-ip`]: address,
        "kubeadm.alpha.kubernetes.io/cri-socket": "unix:///var/run/containerd/containerd.sock",
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
      },
    },
    spec: { podCIDR: cidr, podCIDRs: [cidr], providerID: `aws:///eu-central-1a/i-${String(index).padStart(17, "0")}` },
    status: {
      capacity: resources,
      allocatable: resources,
      conditions: ["MemoryPressure", "DiskPressure", "PIDPressure"]
        .map((type) => condition(type, "False"))
        .concat(condition("Ready", "True")),
      addresses: [
        { type: "InternalIP", address },
        { type: "Hostname", address: name },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10_250 } },
      nodeInfo: {
        machineID: "ec2d5c4f5c4b4f5e8b5e4f5c4b4f5e8b",
        systemUUID: "ec2d5c4f-5c4b-4f5e-8b5e-4f5c4b4f5e8b",
        bootID: "1c9a5c1e-8b0e-4f0f-9a44-1d6c0f4a9d3e",
        kernelVersion: "6.18.0-generic",
        osImage: "Debian GNU/Linux 12 (bookworm)",
        containerRuntimeVersion: "containerd://2.2.0",
        kubeletVersion: "v1.34.4",
        kubeProxyVersion: "v1.34.4",
        operatingSystem: "linux",
        architecture: "amd64",
      },
      images: Array.from({ length: 36 }, (_, image) => syntheticImage(image)),
    },
  };
}

const resources = {
  cpu: "8",
  "ephemeral-storage": "104845292Ki",
  "hugepages-1Gi": "0",
  "hugepages-2Mi": "0",
  memory: "32386544Ki",
  pods: "110",
};

function condition(type: string, status: string): Readonly<Record<string, string>> {
  return {
    type,
    status,
    lastHeartbeatTime: "2026-11-20T10:00:00Z",
    lastTransitionTime: "2026-11-20T09:00:00Z",
    reason: `Kubelet${type}`,
    message: `kubelet has said of ${type} what a kubelet says of it`,
  };
}

function syntheticImage(image: number): JsonObject {
  const name = `registry.example.com/team-${image}/service-with-a-usual-name-${image}`;
  const digest = `${String(image).padStart(2, "0")}f9a1c4`.repeat(8);
  return { names: [`${name}@sha256:${digest}`, `${name}:v1.${image}.0`], sizeBytes: 40_000_000 + image };
}

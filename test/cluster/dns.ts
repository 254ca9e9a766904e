import { addresses } from "./addresses.ts";
import { imageNames } from "./images.ts";
import type { Manifest } from "./kubectl.ts";

const corefile = `.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa {
       pods insecure
       fallthrough in-addr.arpa
    }
    cache 30
    loadbalance
}
`;

const metadata = { name: "coredns", namespace: "kube-system" } as const;
const labels = { "k8s-app": "kube-dns" } as const;

/** The cluster's DNS as kubeadm installs it: two CoreDNS behind the service address that every pod is told. */
export function dnsManifests(): readonly Manifest[] {
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "system:coredns" },
      rules: [
        {
          apiGroups: [""],
          resources: ["endpoints", "services", "pods", "namespaces"],
          verbs: ["list", "watch"],
        },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "system:coredns" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:coredns" },
      subjects: [{ kind: "ServiceAccount", ...metadata }],
    },
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { Corefile: corefile } },
    dnsDeployment(),
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kube-dns", namespace: "kube-system", labels },
      spec: {
        selector: labels,
        clusterIP: addresses.dnsService,
        ports: [
          { name: "dns", port: 53, protocol: "UDP" },
          { name: "dns-tcp", port: 53, protocol: "TCP" },
        ],
      },
    },
  ];
}

function dnsDeployment(): Manifest {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { ...metadata, labels },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          priorityClassName: "system-cluster-critical",
          serviceAccountName: metadata.name,
          dnsPolicy: "Default",
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: "coredns",
              image: imageNames.coreDns,
              imagePullPolicy: "Never",
              args: ["-conf", "/etc/coredns/Corefile"],
              readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
              volumeMounts: [{ name: "config", mountPath: "/etc/coredns" }],
            },
          ],
          volumes: [{ name: "config", configMap: { name: metadata.name } }],
        },
      },
    },
  };
}

/** Where the parts of a cluster are. Each cluster has a wire of its own, so all of them use the same addresses. */
export const addresses = {
  /** The wire's own end: the nodes' router, beyond which the outside is. */
  router: "192.168.100.1",
  /** An address that no node has a route to but the default one. */
  outside: "203.0.113.10",
  apiServer: "192.168.100.70",
  apiServerPort: 6443,
  serviceNetwork: "10.96.0.0/16",
  apiService: "10.96.0.1",
  dnsService: "10.96.0.10",
  podNetwork: "10.244.0.0/16",
} as const;

/** The address of a node by its number, which counts from one. */
export function nodeAddress(number: number): string {
  return `192.168.100.${70 + number}`;
}

/** What the demo builds: the address ranges are those that flannel's documentation uses. */
import { type Cidr, parseCidr } from "../../addr/cidr.ts";

/** A node of the demo. */
export interface NodePlan {
  readonly name: string;
  /** Of its own interface, on the network that joins the nodes. */
  readonly address: Cidr;
  readonly pods: readonly string[];
}

/** The nodes' own interface. */
export const nodeInterface = "eth0";

/** The pods' interface. */
export const podInterface = "eth0";

/** What flannel calls the tunnel device for the VNI 1, and the CNI plugin bridge its bridge. */
export const tunnelDevice = "flannel.1";
export const podBridge = "cni0";

/** flannel's net-conf.json. */
export const networkConfig = { Network: "10.244.0.0/16", Backend: { Type: "vxlan" } } as const;

/** The nodes in the order in which they start. */
export function nodePlans(): readonly NodePlan[] {
  return [
    { name: "node1", address: parseCidr("192.168.124.130/24"), pods: ["pod1", "pod2"] },
    { name: "node2", address: parseCidr("192.168.124.220/24"), pods: ["pod3", "pod4"] },
  ];
}

import type { Family } from "../../src/addr/ip.ts";

/** Where packets come from and go to: a node with two pods, two other nodes' pods, and a machine outside. */
export type Place = "node" | "pod1" | "pod2" | "remote1" | "remote2" | "outside";

/** The addresses of a family. */
export interface FlowAddresses {
  readonly network: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly pod1: string;
  readonly pod2: string;
  readonly remote1: string;
  readonly remote2: string;
  /** The node's own address towards the outside, and towards the other nodes' pods. */
  readonly node: string;
  readonly tunnel1: string;
  readonly tunnel2: string;
  readonly outside: string;
  readonly multicast: string;
}

/** A packet on its way, and the source address that its receiver sees. */
export interface Flow {
  readonly name: string;
  readonly from: Place;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly to: Place;
  readonly seen: string;
}

export const listenPort = 5000;

export const flowAddresses: Readonly<Record<Family, FlowAddresses>> = {
  4: {
    network: "10.244.0.0/16",
    subnet: "10.244.1.0/24",
    gateway: "10.244.1.1",
    pod1: "10.244.1.2",
    pod2: "10.244.1.3",
    remote1: "10.244.2.2",
    remote2: "10.244.3.2",
    node: "192.168.1.1",
    tunnel1: "172.16.1.1",
    tunnel2: "172.16.2.1",
    outside: "192.168.1.254",
    multicast: "239.1.1.1",
  },
  6: {
    network: "fd00:10:244::/56",
    subnet: "fd00:10:244:1::/64",
    gateway: "fd00:10:244:1::1",
    pod1: "fd00:10:244:1::2",
    pod2: "fd00:10:244:1::3",
    remote1: "fd00:10:244:2::2",
    remote2: "fd00:10:244:3::2",
    node: "fd00:192::1",
    tunnel1: "fd00:172:1::1",
    tunnel2: "fd00:172:2::1",
    outside: "fd00:192::254",
    multicast: "ff05::7",
  },
};

/** What an nft table of the test's does before any rule of flannel's: as kube-proxy and host ports do. */
export const services: Readonly<
  Record<"marked" | "markedOtherwise" | "unmarked" | "hostPort" | "masqueraded", number>
> = {
  marked: 30000,
  markedOtherwise: 30001,
  unmarked: 30002,
  hostPort: 30003,
  masqueraded: 30004,
};

/** The flows of a family with what upstream's rules make of them. */
export function flowsOf(family: Family): readonly Flow[] {
  const at = flowAddresses[family];
  return [
    plain("pod to pod of the node", "pod1", at.pod1, "pod2", at.pod2),
    plain("pod to pod of another node", "pod1", at.pod1, "remote1", at.remote1),
    plain("pod of another node to pod", "remote1", at.remote1, "pod1", at.pod1),
    plain("pod to its gateway", "pod1", at.pod1, "node", at.gateway),
    plain("pod to the node's address", "pod1", at.pod1, "node", at.node),
    plain("pod to outside", "pod1", at.pod1, "outside", at.outside, at.node),
    plain("pod of another node to outside", "remote1", at.remote1, "outside", at.outside, at.node),
    plain("pod of another node to one of a third", "remote1", at.remote1, "remote2", at.remote2, at.tunnel2),
    plain("outside to pod", "outside", at.outside, "pod1", at.pod1),
    plain("outside to pod of another node", "outside", at.outside, "remote1", at.remote1, at.tunnel1),
    plain("node to pod, from its own address", "node", at.node, "pod1", at.pod1),
    plain("node to pod of another node, from its own address", "node", at.node, "remote1", at.remote1, at.tunnel1),
    plain("node to multicast, from a pod network's address", "node", at.gateway, "outside", at.multicast),
    plain("node to outside, from a pod network's address", "node", at.gateway, "outside", at.outside, at.node),
    plain("node to outside", "node", at.node, "outside", at.outside),
    service("outside to host port", services.hostPort, "pod1", at.outside),
    service("outside to NodePort of a pod elsewhere, with kube-proxy's mark", services.marked, "remote1", at.outside),
    service("the same with more bits in the mark", services.markedOtherwise, "remote1", at.outside),
    service("the same without the mark", services.unmarked, "remote1", at.tunnel1),
    service("the same masqueraded by kube-proxy", services.masqueraded, "remote1", at.tunnel1),
  ];

  function service(name: string, port: number, to: Place, seen: string): Flow {
    return { name, from: "outside", source: at.outside, to, destination: at.node, port, seen };
  }
}

function plain(name: string, from: Place, source: string, to: Place, destination: string, seen = source): Flow {
  return { name, from, source, to, destination, port: listenPort, seen };
}

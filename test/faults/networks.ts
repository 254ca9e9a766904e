/** The networks of fault runs: what a runtime starts for a pod, in which order, and with what. */
import type { JsonObject } from "../../src/base/decode.ts";
import { type CniHost, subnetEnv } from "../helpers/cni-host.ts";
import { masqueradingSubnetEnv } from "../helpers/conflists.ts";

/** One entry of a network's list of plugins, with what the runtime gives it. */
export interface FaultEntry {
  readonly plugin: "flannel" | "portmap";
  readonly config: JsonObject;
}

/** A network. */
export interface FaultNetwork {
  readonly name: string;
  /** What the daemon wrote. */
  readonly subnetEnv: string;
  /** The entries in the order of ADD. */
  readonly entries: (host: CniHost, portMappings: readonly JsonObject[]) => readonly FaultEntry[];
  /** Which of the entries meets the faults: what the one before it has made stays until DEL. */
  readonly faulty: FaultEntry["plugin"];
}

/** All that a pod can have, by one entry: the bridge, masquerade by it, ports of the host. */
export const fusedNetwork: FaultNetwork = {
  name: "one entry",
  subnetEnv,
  entries: (host, portMappings) => [{ plugin: "flannel", config: flannelConfig(host, "0.3.1", portMappings) }],
  faulty: "flannel",
};

/** The same with addresses of both families, in the version that we ship. */
export const dualNetwork: FaultNetwork = {
  ...fusedNetwork,
  name: "two families",
  subnetEnv: `${subnetEnv}FLANNEL_IPV6_NETWORK=fd00:10:244::/48\nFLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\n`,
  entries: (host, portMappings) => [{ plugin: "flannel", config: flannelConfig(host, "1.0.0", portMappings) }],
};

/** Upstream's list, on a node whose daemon masquerades: ports are another entry's, which is the one that meets the faults. */
export const stockNetwork: FaultNetwork = {
  name: "portmap's own entry",
  subnetEnv: masqueradingSubnetEnv,
  entries: (host, portMappings) => [
    { plugin: "flannel", config: host.flannelConfig({ delegate }) },
    {
      plugin: "portmap",
      config: { cniVersion: "0.3.1", name: "cbr0", type: "portmap", runtimeConfig: { portMappings } },
    },
  ],
  faulty: "portmap",
};

const delegate = { hairpinMode: true, isDefaultGateway: true };

function flannelConfig(host: CniHost, cniVersion: string, portMappings: readonly JsonObject[]): JsonObject {
  return host.flannelConfig({ cniVersion, delegate: { ...delegate, ipMasq: true }, runtimeConfig: { portMappings } });
}

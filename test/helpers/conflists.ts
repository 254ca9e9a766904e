import type { JsonObject } from "../../src/base/decode.ts";
import { subnetEnv } from "./cni-host.ts";

/** A node's subnet.env as a daemon writes it that masquerades by itself, so that no plugin is asked to. */
export const masqueradingSubnetEnv: string = subnetEnv.replace("FLANNEL_IPMASQ=false", "FLANNEL_IPMASQ=true");

const portMappings = { portMappings: true } as const;
const flannelEntry = { type: "flannel", delegate: { hairpinMode: true, isDefaultGateway: true } } as const;

/** The list of plugins of a network. The runtime gives each of them the network's name and version. */
export interface Conflist {
  readonly [key: string]: string | readonly string[] | readonly JsonObject[];
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly JsonObject[];
}

/** The network as upstream's manifest installs it. */
export const stockConflist: Conflist = {
  name: "cbr0",
  cniVersion: "0.3.1",
  plugins: [flannelEntry, { type: "portmap", capabilities: portMappings }],
};

/** The network as we install it, where flannel maps ports as well: a runtime that knows no version but the first takes that. */
export const ownConflist: Conflist = {
  name: "cbr0",
  cniVersion: "1.0.0",
  cniVersions: ["0.3.1", "0.4.0", "1.0.0", "1.1.0"],
  plugins: [{ ...flannelEntry, capabilities: portMappings }],
};

/** Our network with the stock one's entry of portmap left behind it. */
export const doubledConflist: Conflist = {
  ...ownConflist,
  plugins: [...ownConflist.plugins, ...stockConflist.plugins.slice(1)],
};

/** Our network with other plugins' entries around the one that is ours. */
export function surroundedConflist(before: readonly JsonObject[], after: readonly JsonObject[]): Conflist {
  return { ...ownConflist, plugins: [...before, flannelEntry, ...after] };
}

import { linkPrograms } from "./executable.ts";
import type { ProgramDirectory } from "./executable.ts";
import { peerProgram } from "./peers.ts";

/** Upstream's plugins under the names that a node has them, and how to find each. */
export const upstreamPlugins: Readonly<Record<string, string>> = {
  flannel: peerProgram("flannel-cni", "flannel"),
  bridge: peerProgram("cni-plugins", "bridge"),
  "host-local": peerProgram("cni-plugins", "host-local"),
  loopback: peerProgram("cni-plugins", "loopback"),
  portmap: peerProgram("cni-plugins", "portmap"),
  ptp: peerProgram("cni-plugins", "ptp"),
  static: peerProgram("cni-plugins", "static"),
};

/** A directory of upstream's plugins, as a node has it before it is moved to ours. */
export function createUpstreamDirectory(): Promise<ProgramDirectory> {
  return linkPrograms(upstreamPlugins);
}

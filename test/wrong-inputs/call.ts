import type { JsonObject } from "../../src/base/decode.ts";
import type { Environment } from "../../src/cni/environment.ts";
import type { WrongInput } from "./input.ts";

/** Right configurations. */
const configs: Readonly<Record<string, JsonObject>> = {
  loopback: {},
  portmap: {},
  flannel: { subnetFile: "DIR/subnet.env", dataDir: "DIR/flannel" },
  bridge: {},
  "host-local": { ipam: { type: "host-local", subnet: "10.1.2.0/24", dataDir: "DIR/networks" } },
};

/** What the daemon wrote is right. */
const subnetEnv =
  "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

/** The plugin, the verb, what is not right in the configuration, the error, and what is not right in the environment. */
export type WrongCall = readonly [string, string, JsonObject, string, Environment?];

/** The input of a call of which all else is right. */
export function inputOf([plugin, command, members, error, environment]: WrongCall): WrongInput {
  return {
    plugin,
    environment: { CNI_COMMAND: command, ...environment },
    stdin: { cniVersion: "1.1.0", name: "n", type: plugin, ...configs[plugin], ...members },
    ...(plugin === "flannel" ? { subnetEnv } : {}),
    error,
  };
}

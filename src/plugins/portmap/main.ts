import { type CniPlugin, type CniRequest, type CniUpkeep, withUpkeep } from "../../cni/plugin.ts";
import type { CniResult } from "../../cni/result.ts";
import { mayHavePodRules } from "../../firewall/presence.ts";
import { decodePortConfig, type PortConfig } from "./config.ts";

/** What portmap does with nf_tables (mappings.ts). */
export interface PortMapper {
  addMappings(request: CniRequest, result: CniResult, wanted: PortConfig): void;
  removeMappings(request: CniRequest): void;
}

/** The portmap plugin: leads ports of the host to ports of a container. */
export function createPortmap(upkeep: () => CniUpkeep, mapper: () => PortMapper): CniPlugin {
  return withUpkeep(
    {
      name: "portmap",
      about: "CNI portmap plugin of tartan",
      checkConfig: decodePortConfig,
      add: (request) => add(request, mapper),
      del: (request) => {
        if (mayHavePodRules()) mapper().removeMappings(request);
      },
    },
    upkeep,
  );
}

/** Changes nothing of the result, which it hands on. */
function add(request: CniRequest, mapper: () => PortMapper): CniResult {
  const wanted = decodePortConfig(request.config);
  const { prevResult } = request.config;
  if (prevResult === undefined) throw new Error("must be called as chained plugin");
  if (wanted.mappings.length > 0) mapper().addMappings(request, prevResult, wanted);
  return prevResult;
}

import { DecodeError } from "../../base/decode.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import type { CniPlugin, CniRequest } from "../../cni/plugin.ts";
import type { CniResult } from "../../cni/result.ts";
import { checkSettings, decodeMappings, hasMappings, type PortMapping } from "./config.ts";

/** The portmap plugin, as far as no port is mapped: it hands on what the plugins before it made. */
export const portmap: CniPlugin = {
  name: "portmap",
  about: "CNI portmap plugin of tartan",
  add,
  del,
  check,
  gc: nothing,
  status: nothing,
};

function add(request: CniRequest): CniResult {
  const mappings = decode(request);
  const { prevResult } = request.config;
  if (prevResult === undefined) throw new Error("must be called as chained plugin");
  refuse(mappings);
  return prevResult;
}

/** Never fails, whatever the configuration says: nothing can be left of ours, and what is another's has to go otherwise. */
function del(request: CniRequest): void {
  if (!hasMappings(request.config)) return;
  request.warn(
    "portmap: mapping of ports is not built yet: rules that another portmap has made for this container stay",
  );
}

function check(request: CniRequest): void {
  const mappings = decode(request);
  if (request.config.prevResult === undefined) throw new Error("Required prevResult missing");
  refuse(mappings);
}

/** No rule is ours: there is none to free, and none that could be missing. */
function nothing(): void {}

function decode(request: CniRequest): readonly PortMapping[] {
  try {
    checkSettings(request.config);
    return decodeMappings(request.config);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CniError(cniCode.invalidConfig, "failed to parse config", undefined, { cause: error });
  }
}

function refuse([first]: readonly PortMapping[]): void {
  if (first === undefined) return;
  const { hostPort, containerPort, protocol } = first;
  throw new CniError(
    cniCode.unsupportedField,
    `unsupported field "runtimeConfig.portMappings": host port ${hostPort} to container port ${containerPort}` +
      ` (${protocol}) cannot be mapped: it is not built yet`,
  );
}

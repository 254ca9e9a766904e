import { formatCidr } from "../../addr/cidr.ts";
import { Decoder, DecodeError, type Json, type JsonObject } from "../../base/decode.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import { encodeRoutes } from "../../cni/result-encode.ts";
import { decodeRoutes } from "../../cni/result.ts";
import type { FlannelConfig } from "./config.ts";
import type { SubnetEnv } from "./subnet-env.ts";

/** The name of this plugin, which is no delegate of its own. */
export const ownType = "flannel";
const defaultDelegateType = "bridge";
const defaultIpamType = "host-local";

/**
 * The configuration of the plugin that does the work, as upstream makes it (cni-plugin, flannel_linux.go): the
 * configured `delegate` with the defaults that follow from subnet.env. Without a subnet.env, what says which network and
 * which plugins. Pure. Throws a CniError, code 7.
 */
export function buildDelegateConfig(config: FlannelConfig, env: SubnetEnv | undefined): JsonObject {
  const given = config.delegate ?? {};
  checkDelegate(given);
  const type = delegateType(config);
  const built: Record<string, Json> = { ...given, name: config.name, type };
  if (env !== undefined) {
    // Masquerade is done once: by the daemon, or else here.
    if (!hasKey(given, "ipMasq")) built["ipMasq"] = !env.ipMasq;
    if (!hasKey(given, "mtu")) built["mtu"] = env.mtu;
  }
  if (type === defaultDelegateType && !hasKey(given, "isGateway")) built["isGateway"] = true;
  if (config.cniVersion !== undefined) built["cniVersion"] = config.cniVersion;
  if (config.runtimeConfig !== undefined) built["runtimeConfig"] = config.runtimeConfig;
  if (!config.inProcess) built["inProcess"] = false;
  built["ipam"] = buildIpam(config.ipam ?? {}, env);
  return built;
}

/** Type of the plugin that does the work. */
export function delegateType(config: FlannelConfig): string {
  const type = config.delegate?.["type"];
  return typeof type === "string" ? type : defaultDelegateType;
}

function checkDelegate(delegate: JsonObject): void {
  const type = delegate["type"];
  if (type !== undefined && typeof type !== "string") {
    throw invalid("'delegate' dictionary, if present, must have (string) 'type' field");
  }
  if (type === ownType)
    throw invalid(`'delegate' dictionary must not have 'type' "${ownType}", which would call itself`);
  for (const key of ["name", "ipam"]) {
    if (hasKey(delegate, key)) {
      throw invalid(`'delegate' dictionary must not have '${key}' field, it'll be set by flannel`);
    }
  }
}

function buildIpam(given: JsonObject, env: SubnetEnv | undefined): JsonObject {
  const networks = env?.networks ?? [];
  const subnets = env?.subnets ?? [];
  return {
    type: defaultIpamType,
    ...given,
    ranges: subnets.map((subnet) => [{ subnet: formatCidr(subnet) }]),
    routes: [...givenRoutes(given), ...networks.map((network) => ({ dst: formatCidr(network) }))],
  };
}

function givenRoutes(ipam: JsonObject): readonly JsonObject[] {
  try {
    return encodeRoutes(decodeRoutes(new Decoder(ipam["routes"], "routes")));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const message = "failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes";
    throw new CniError(cniCode.invalidConfig, message, undefined, { cause: error });
  }
}

/** The delegate reads its keys in any case, so that a default beside a key in another case would contradict it. */
function hasKey(object: JsonObject, key: string): boolean {
  const wanted = key.toLowerCase();
  for (const name of Object.keys(object)) if (name.toLowerCase() === wanted) return true;
  return false;
}

function invalid(message: string): CniError {
  return new CniError(cniCode.invalidConfig, message);
}

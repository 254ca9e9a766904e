/** The configuration of portmap (the reference's documentation, plugins/meta/portmap). */
import { type Decoder, DecodeError, type JsonObject } from "../../base/decode.ts";
import type { PluginConfig } from "../../cni/config.ts";
import { CniError, cniCode } from "../../cni/error.ts";

/** A port of the host that is to lead to one of the container. */
export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: string;
}

/** Settings that the reference checks also where no port is mapped. */
const checkedKeys: readonly string[] = ["backend", "markmasqbit", "externalsetmarkchain"];

/** The mappings that the runtime asks for. Throws a CniError with the reference's text, or a DecodeError. */
export function decodeMappings({ decoder }: PluginConfig): readonly PortMapping[] {
  return decoder.field("runtimeConfig").field("portMappings").list().map(decodeMapping);
}

/** Throws a CniError for a setting that is wrong. Configurations have none, nearly always. */
export function checkSettings({ json, decoder }: PluginConfig): void {
  if (!hasSettings(json)) return;
  const backend = decoder.field("backend").string();
  const bit = decoder.field("markMasqBit").integer();
  const chain = decoder.field("externalSetMarkChain").string();
  if (bit !== undefined && chain !== undefined) throw invalid("Cannot specify externalSetMarkChain and markMasqBit");
  if (bit !== undefined && (bit < 0 || bit > 31)) throw invalid("MasqMarkBit must be between 0 and 31");
  if (backend !== undefined && backend !== "iptables" && backend !== "nftables") {
    throw invalid(`unrecognized backend "${backend}"`);
  }
}

/** True when the runtime asks for a mapping at all. */
export function hasMappings({ decoder }: PluginConfig): boolean {
  try {
    return decoder.field("runtimeConfig").field("portMappings").list().length > 0;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

function hasSettings(json: JsonObject): boolean {
  for (const key of Object.keys(json)) if (checkedKeys.includes(key.toLowerCase())) return true;
  return false;
}

function decodeMapping(json: Decoder): PortMapping {
  const hostPort = json.field("hostPort").integer() ?? 0;
  const containerPort = json.field("containerPort").integer() ?? 0;
  const protocol = json.field("protocol").string() ?? "";
  json.field("hostIP").string();
  if (containerPort <= 0) throw invalid(`Invalid container port number: ${containerPort}`);
  if (hostPort <= 0) throw invalid(`Invalid host port number: ${hostPort}`);
  return { hostPort, containerPort, protocol };
}

function invalid(problem: string): CniError {
  return new CniError(cniCode.invalidConfig, `failed to parse config: ${problem}`);
}

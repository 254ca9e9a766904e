/** The configuration of portmap (the reference's documentation, plugins/meta/portmap). */
import { findIp, type IpAddress } from "../../addr/ip.ts";
import { type Decoder, DecodeError, type JsonObject } from "../../base/decode.ts";
import type { PluginConfig } from "../../cni/config.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import { ipProtocols } from "../../firewall/ip-protocols.ts";

/** A port of the host that is to lead to one of the container. */
export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  /** IPPROTO_… */
  readonly protocol: number;
  /** Undefined where it is not said: all addresses of both families. An unspecified one is all of its family. */
  readonly hostIp: IpAddress | undefined;
}

/** How the mappings are made. */
export interface PortSettings {
  /** False when no connection's source is changed. */
  readonly snat: boolean;
  /** True when every connection's source is changed. */
  readonly masqueradeAll: boolean;
  /** The bit of the packet mark that says so, to this program and to others. */
  readonly markBit: number;
}

/** Kubernetes uses 14 and 15, Calico 20 to 31 (the reference's DefaultMarkBit). */
const usualMarkBit = 13;
const usualSettings: PortSettings = { snat: true, masqueradeAll: false, markBit: usualMarkBit };
const largestPort = 65_535;
/** Keys that a configuration rarely has. */
const settingKeys: readonly string[] = [
  "backend",
  "markmasqbit",
  "externalsetmarkchain",
  "conditionsv4",
  "conditionsv6",
  "snat",
  "masqall",
];

/** All of the configuration. */
export interface PortConfig {
  readonly settings: PortSettings;
  readonly mappings: readonly PortMapping[];
}

/** Reads the configuration. Throws a CniError for what is wrong. */
export function decodePortConfig(config: PluginConfig): PortConfig {
  try {
    return { settings: decodeSettings(config), mappings: decodeMappings(config) };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CniError(cniCode.invalidConfig, "failed to parse config", undefined, { cause: error });
  }
}

/** The mappings that the runtime asks for, each once. Throws a CniError with the reference's text, or a DecodeError. */
function decodeMappings({ decoder }: PluginConfig): readonly PortMapping[] {
  const list = decoder.field("runtimeConfig").field("portMappings").list();
  return list.length === 0 ? [] : list.map(decodeMapping);
}

/** Reads the settings. Throws a CniError for one that is wrong or cannot be had, or a DecodeError. */
function decodeSettings({ json, decoder }: PluginConfig): PortSettings {
  if (!hasSettings(json)) return usualSettings;
  const backend = decoder.field("backend").string();
  const bit = decoder.field("markMasqBit").integer();
  const chain = decoder.field("externalSetMarkChain").string();
  if (bit !== undefined && chain !== undefined) throw invalid("Cannot specify externalSetMarkChain and markMasqBit");
  if (bit !== undefined && (bit < 0 || bit > 31)) throw invalid("MasqMarkBit must be between 0 and 31");
  if (backend !== undefined && backend !== "iptables" && backend !== "nftables") {
    throw invalid(`unrecognized backend "${backend}"`);
  }
  if (chain !== undefined) throw unsupported("externalSetMarkChain", markHint);
  for (const key of ["conditionsV4", "conditionsV6"]) {
    if (decoder.field(key).list().length > 0) throw unsupported(key, conditionHint);
  }
  return {
    snat: decoder.field("snat").boolean() ?? true,
    masqueradeAll: decoder.field("masqAll").boolean() ?? false,
    markBit: bit ?? usualMarkBit,
  };
}

const markHint =
  "host ports are in a table of their own, which cannot jump to a chain of another; set markMasqBit to the bit of the mark" +
  ' that the chain sets instead ("markMasqBit": 14 is kube-proxy\'s)';
const conditionHint =
  "host ports are looked up in maps, without further conditions; map a port of one address with hostIP instead";

function hasSettings(json: JsonObject): boolean {
  for (const key of Object.keys(json)) if (settingKeys.includes(key.toLowerCase())) return true;
  return false;
}

function decodeMapping(json: Decoder): PortMapping {
  const hostPort = json.field("hostPort").integer() ?? 0;
  const containerPort = json.field("containerPort").integer() ?? 0;
  const protocol = json.field("protocol").string() ?? "";
  const hostIp = json.field("hostIP").string() ?? "";
  if (!isPort(containerPort)) throw invalid(`Invalid container port number: ${containerPort}`);
  if (!isPort(hostPort)) throw invalid(`Invalid host port number: ${hostPort}`);
  const address = findIp(hostIp);
  if (hostIp !== "" && address === undefined) throw invalid(`Invalid host IP: "${hostIp}"`);
  return { hostPort, containerPort, protocol: decodeProtocol(protocol), hostIp: address };
}

function decodeProtocol(text: string): number {
  const lower = text.toLowerCase();
  if (lower === "tcp" || lower === "udp" || lower === "sctp") return ipProtocols[lower];
  throw invalid(`Invalid protocol: "${text}" (must be tcp, udp or sctp)`);
}

function isPort(number: number): boolean {
  return number > 0 && number <= largestPort;
}

function invalid(problem: string): CniError {
  return new CniError(cniCode.invalidConfig, `failed to parse config: ${problem}`);
}

function unsupported(key: string, hint: string): CniError {
  return new CniError(cniCode.unsupportedField, `unsupported field "${key}": ${hint}`);
}

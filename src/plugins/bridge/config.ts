import type { MacAddress } from "../../addr/mac.ts";
import { type Decoder, DecodeError } from "../../base/decode.ts";
import type { PluginConfig } from "../../cni/config.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import type { CniRequest } from "../../cni/plugin.ts";
import { type CniDns, decodeDns } from "../../cni/result.ts";
import { decodeExtras, decodeWantedMac, type ExtraConfig, mayHaveExtras, noExtras } from "./extra-config.ts";

/** The bridge plugin's configuration (the reference's documentation, plugins/main/bridge). */
export interface BridgeConfig {
  readonly bridge: string;
  readonly isGateway: boolean;
  readonly isDefaultGateway: boolean;
  readonly forceAddress: boolean;
  /** Bytes; 0 leaves the kernel's default. */
  readonly mtu: number;
  readonly hairpin: boolean;
  /** True when the container's packets that leave its subnet get the host's address as their source. */
  readonly ipMasq: boolean;
  /** Type of the IPAM plugin; empty for a bridge without addresses. */
  readonly ipamType: string;
  /** Replaces what the IPAM plugin says, when it says anything. */
  readonly dns: CniDns | undefined;
  readonly extras: ExtraConfig;
}

const usualBridge = "cni0";

/** The reference's; whichever is asked for, the rules are nf_tables'. */
const masqueradeBackends: readonly string[] = ["", "iptables", "nftables"];

/** Reads the configuration. Throws a CniError for what is wrong. */
export function decodeBridgeConfig(config: PluginConfig): BridgeConfig {
  try {
    const decoded = decodeKeys(config);
    checkTogether(decoded);
    return decoded;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CniError(cniCode.invalidConfig, "failed to load netconf", undefined, { cause: error });
  }
}

/** Ours that give out no addresses: as IPAM plugins they would call the bridge plugin again, and that them, without end. */
const notIpamTypes: readonly string[] = ["bridge", "flannel", "loopback", "portmap"];

/** Type of the IPAM plugin, all that DEL and GC need of the configuration; empty when there is none that ADD would take. */
export function ipamTypeOf({ decoder }: PluginConfig): string {
  const type = decoder.field("ipam").field("type").string() ?? "";
  return notIpamTypes.includes(type) ? "" : type;
}

/** The bridge and the VLAN, 0 for none, that pods of the network are in. Throws a DecodeError. */
export function bridgeOf({ decoder }: PluginConfig): { readonly bridge: string; readonly vlan: number } {
  const bridge = decoder.field("bridge").string() ?? "";
  return { bridge: bridge === "" ? usualBridge : bridge, vlan: decoder.field("vlan").integer() ?? 0 };
}

/** True when the attachment is to have rules in nf_tables. */
export function hasRules({ ipMasq, extras }: BridgeConfig): boolean {
  return ipMasq || extras.macCheck;
}

/**
 * The MAC address that the container's interface is asked to have: by the runtime, else by `args.cni`, else by CNI_ARGS,
 * which is read in any case. Throws a CniError.
 */
export function wantedMacOf(request: CniRequest, config: BridgeConfig): MacAddress | undefined {
  const argument = request.args.get("MAC") ?? "";
  return config.extras.mac ?? (argument === "" ? undefined : decodeWantedMac(argument));
}

function decodeKeys(config: PluginConfig): BridgeConfig {
  const { decoder } = config;
  const isDefaultGateway = decoder.field("isDefaultGateway").boolean() ?? false;
  const bridge = decoder.field("bridge").string() ?? "";
  return {
    bridge: bridge === "" ? usualBridge : bridge,
    isGateway: (decoder.field("isGateway").boolean() ?? false) || isDefaultGateway,
    isDefaultGateway,
    forceAddress: decoder.field("forceAddress").boolean() ?? false,
    mtu: decoder.field("mtu").natural(65_535) ?? 0,
    hairpin: decoder.field("hairpinMode").boolean() ?? false,
    ipMasq: decoder.field("ipMasq").boolean() ?? false,
    ipamType: decodeIpamType(decoder),
    dns: decodeDns(decoder.field("dns")),
    extras: mayHaveExtras(config.json) ? decodeExtras(decoder) : noExtras,
  };
}

function decodeIpamType(decoder: Decoder): string {
  const type = decoder.field("ipam").field("type").string() ?? "";
  if (!notIpamTypes.includes(type)) return type;
  throw new CniError(cniCode.invalidConfig, `plugin "${type}" is no IPAM plugin: it gives out no addresses`);
}

function checkTogether({ ipamType, hairpin, ipMasq, extras }: BridgeConfig): void {
  if (ipMasq && !masqueradeBackends.includes(extras.ipMasqBackend)) {
    throw new CniError(cniCode.invalidConfig, `unknown ipmasq backend "${extras.ipMasqBackend}"`);
  }
  if (ipamType !== "" && extras.containerDown) {
    throw new CniError(cniCode.invalidConfig, "cannot use IPAM when DisableContainerInterface flag is set");
  }
  if (hairpin && extras.promiscuous) {
    throw new CniError(cniCode.invalidConfig, "cannot set hairpin mode and promiscuous mode at the same time");
  }
}

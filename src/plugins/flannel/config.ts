import { Decoder, DecodeError, type JsonObject } from "../../base/decode.ts";
import { CniError, cniCode } from "../../cni/error.ts";
import type { PluginConfig } from "../../cni/config.ts";

/** The flannel plugin's configuration (cni-plugin's documentation). */
export interface FlannelConfig {
  /** Name of the network. */
  readonly name: string;
  /** The version as the configuration has it, which the delegate's is to have too; undefined for none. */
  readonly cniVersion: string | undefined;
  readonly subnetFile: string;
  /** Directory of the delegates' configurations, by container. */
  readonly dataDir: string;
  readonly delegate: JsonObject | undefined;
  readonly ipam: JsonObject | undefined;
  readonly runtimeConfig: JsonObject | undefined;
  /** False when the delegates are to be executed although they are built in. */
  readonly inProcess: boolean;
}

/** Reads the configuration. Throws a CniError, code 7. */
export function decodeFlannelConfig({ decoder, name }: PluginConfig): FlannelConfig {
  try {
    return decodeMembers(decoder, name);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const message = "failed to load flannel netconf file: failed to load netconf";
    throw new CniError(cniCode.invalidConfig, message, undefined, { cause: error });
  }
}

/**
 * Like decodeFlannelConfig, but a member that cannot be read counts as absent: the configuration may have become anything
 * since ADD, which has kept what is to be deleted.
 */
export function decodeForDelete(config: PluginConfig): FlannelConfig {
  try {
    return decodeFlannelConfig(config);
  } catch {
    const readable = Object.entries(config.json).filter(([key, value]) => isReadable({ [key]: value }));
    return decodeMembers(new Decoder(Object.fromEntries(readable)), config.name);
  }
}

function isReadable(json: JsonObject): boolean {
  try {
    decodeMembers(new Decoder(json), "");
    return true;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

function decodeMembers(decoder: Decoder, name: string): FlannelConfig {
  return {
    name,
    cniVersion: findText(decoder, "cniVersion"),
    subnetFile: findText(decoder, "subnetFile") ?? "/run/flannel/subnet.env",
    dataDir: findText(decoder, "dataDir") ?? "/var/lib/cni/flannel",
    delegate: decoder.field("delegate").object(),
    ipam: decoder.field("ipam").object(),
    runtimeConfig: decoder.field("runtimeConfig").object(),
    inProcess: decoder.field("inProcess").boolean() ?? true,
  };
}

function findText(decoder: Decoder, key: string): string | undefined {
  const text = decoder.field(key).string();
  return text === "" ? undefined : text;
}

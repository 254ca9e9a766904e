import { Decoder, DecodeError, type JsonObject, parseJson } from "../base/decode.ts";
import { isCniName } from "./environment.ts";
import { CniError, cniCode } from "./error.ts";
import { type CniResult, decodeResult } from "./result.ts";
import type { CniVersion } from "./version.ts";
import { checkVersion } from "./version-check.ts";

/** A plugin's configuration: what every plugin's has, and the whole of it for what is the plugin's own. */
export interface PluginConfig {
  readonly json: JsonObject;
  readonly decoder: Decoder;
  readonly cniVersion: CniVersion;
  /** Name of the network. */
  readonly name: string;
  readonly type: string;
  /** What the plugins before this one made. It is read when asked for: throws a CniError, code 6. */
  readonly prevResult: CniResult | undefined;
}

/** Reads the text of stdin and checks the network's name. Throws a CniError, code 6 or 7. */
export function parseConfig(text: string): Decoder {
  try {
    const document = new Decoder(parseJson(text));
    checkName(document.field("name").string() ?? "");
    return document;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CniError(cniCode.decodingFailure, "error unmarshall network config", undefined, { cause: error });
  }
}

/** The version as the configuration has it; one without is of 0.1.0, before there was the key. Throws a CniError, code 6. */
export function configVersion(document: Decoder): string {
  try {
    const version = document.field("cniVersion").string() ?? "";
    return version === "" ? "0.1.0" : version;
  } catch (error) {
    throw new CniError(cniCode.decodingFailure, "decoding version from network config", undefined, { cause: error });
  }
}

/** Reads what every configuration has. Throws a CniError, code 1, 6 or 7. */
export function decodeConfig(document: Decoder): PluginConfig {
  const name = document.field("name").string() ?? "";
  checkName(name);
  const cniVersion = checkVersion(configVersion(document));
  return {
    json: document.object() ?? {},
    decoder: document,
    cniVersion,
    name,
    type: document.field("type").string() ?? "",
    get prevResult(): CniResult | undefined {
      return decodePrevResult(document.field("prevResult"), cniVersion);
    },
  };
}

/** The configuration as the next plugin of a chain sees it, when this one has made the result given. */
export function withPrevResult(config: PluginConfig, prevResult: CniResult): PluginConfig {
  const { json, decoder, cniVersion, name, type } = config;
  return { json, decoder, cniVersion, name, type, prevResult };
}

function checkName(name: string): void {
  if (name === "") throw new CniError(cniCode.invalidConfig, "missing network name");
  if (!isCniName(name)) throw new CniError(cniCode.invalidConfig, "invalid characters found in network name", name);
}

function decodePrevResult(json: Decoder, cniVersion: CniVersion): CniResult | undefined {
  if (json.absent) return undefined;
  try {
    return decodeResult(json, cniVersion);
  } catch (error) {
    throw new CniError(cniCode.decodingFailure, "could not parse prevResult", undefined, { cause: error });
  }
}

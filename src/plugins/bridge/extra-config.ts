/** The keys of the bridge plugin that few configurations have. Nothing here runs for those that have none of them. */
import { findMac, type MacAddress } from "../../addr/mac.ts";
import type { Decoder, JsonObject } from "../../base/decode.ts";
import { CniError, cniCode } from "../../cni/error.ts";

/** What the rare keys ask for. */
export interface ExtraConfig {
  /** `promiscMode`: the bridge takes frames for all addresses. */
  readonly promiscuous: boolean;
  /** The VLAN that the container's untagged frames belong to; 0 for none. */
  readonly vlan: number;
  /** VLANs that the container may use by tag, ascending; undefined when the key is absent. */
  readonly trunk: readonly number[] | undefined;
  readonly preserveDefaultVlan: boolean;
  readonly portIsolation: boolean;
  /** `enabledad`: the kernel looks for duplicates of the container's IPv6 addresses, and ADD waits for what it finds. */
  readonly detectDuplicates: boolean;
  /** `disableContainerInterface`: the container's end is not started. */
  readonly containerDown: boolean;
  /** The container's MAC address, from `args.cni` or, above it, the runtime. */
  readonly mac: MacAddress | undefined;
  /** `macspoofchk`: frames of the container with another source than its MAC address are dropped. */
  readonly macCheck: boolean;
  /** `ipMasqBackend`: how the reference would masquerade. */
  readonly ipMasqBackend: string;
}

/** What holds where none of the keys is there. */
export const noExtras: ExtraConfig = {
  promiscuous: false,
  vlan: 0,
  trunk: undefined,
  preserveDefaultVlan: false,
  portIsolation: false,
  detectDuplicates: false,
  containerDown: false,
  mac: undefined,
  macCheck: false,
  ipMasqBackend: "",
};

/** Keys that say nothing of the extras, as runtimes and flannel write them. Others may be rare ones, in any case. */
const commonKeys: readonly string[] = [
  "cniVersion",
  "name",
  "type",
  "bridge",
  "isGateway",
  "isDefaultGateway",
  "forceAddress",
  "ipMasq",
  "mtu",
  "hairpinMode",
  "ipam",
  "dns",
  "prevResult",
  "inProcess",
];
const smallestVlan = 1;
const largestVlan = 4094;

/** True when a configuration has a key that may ask for an extra. */
export function mayHaveExtras(json: JsonObject): boolean {
  for (const key of Object.keys(json)) if (!commonKeys.includes(key)) return true;
  return false;
}

/** Reads the rare keys. Throws a CniError with the reference's text, or a DecodeError. */
export function decodeExtras(config: Decoder): ExtraConfig {
  const vlan = config.field("vlan").integer() ?? 0;
  if (vlan < 0 || vlan > largestVlan) {
    throw invalid(`invalid VLAN ID ${vlan} (must be between 0 and ${largestVlan})`);
  }
  return {
    promiscuous: config.field("promiscMode").boolean() ?? false,
    vlan,
    trunk: decodeTrunk(config.field("vlanTrunk")),
    preserveDefaultVlan: config.field("preserveDefaultVlan").boolean() ?? false,
    portIsolation: config.field("portIsolation").boolean() ?? false,
    detectDuplicates: config.field("enabledad").boolean() ?? false,
    containerDown: config.field("disableContainerInterface").boolean() ?? false,
    mac: decodeMac(config),
    macCheck: config.field("macspoofchk").boolean() ?? false,
    ipMasqBackend: config.field("ipMasqBackend").string() ?? "",
  };
}

/** Reads a MAC address that somebody asks for; an empty text asks for none. Throws a CniError with Go's text. */
export function decodeWantedMac(text: string): MacAddress | undefined {
  if (text === "") return undefined;
  const mac = findMac(text);
  if (mac === undefined) throw invalid(`address ${text}: invalid MAC address`);
  return mac;
}

function decodeMac(config: Decoder): MacAddress | undefined {
  const argument = config.field("args").field("cni").field("mac").string() ?? "";
  const capability = config.field("runtimeConfig").field("mac").string() ?? "";
  return decodeWantedMac(capability === "" ? argument : capability);
}

/** Each id once and ascending. */
function decodeTrunk(trunk: Decoder): readonly number[] | undefined {
  if (trunk.absent) return undefined;
  const ids = new Set<number>();
  for (const item of trunk.list()) {
    const range = decodeRange(item);
    for (let id = range.first; id <= range.last; id++) ids.add(id);
    const id = item.field("id").integer();
    if (id === undefined) continue;
    if (!isVlan(id)) throw invalid("incorrect trunk id parameter");
    ids.add(id);
  }
  return [...ids].toSorted((left, right) => left - right);
}

/** The ids from `minID` to `maxID`; none, a range that ends before it begins, when neither is there. */
function decodeRange(item: Decoder): { readonly first: number; readonly last: number } {
  const first = item.field("minID").integer();
  const last = item.field("maxID").integer();
  if (first === undefined && last === undefined) return { first: 1, last: 0 };
  const together = "minID and maxID should be configured simultaneously";
  if (first === undefined) throw invalid(`${together}, minID is missing`);
  if (last === undefined) throw invalid(`${together}, maxID is missing`);
  if (!isVlan(first)) throw invalid("incorrect trunk minID parameter");
  if (!isVlan(last)) throw invalid("incorrect trunk maxID parameter");
  if (last < first) throw invalid("minID is greater than maxID in trunk parameter");
  return { first, last };
}

function isVlan(id: number): boolean {
  return id >= smallestVlan && id <= largestVlan;
}

function invalid(message: string): CniError {
  return new CniError(cniCode.invalidConfig, message);
}

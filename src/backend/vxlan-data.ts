import { findMac, macBytes, type MacAddress } from "../addr/mac.ts";
import { DecodeError, Decoder, type Json } from "../base/decode.ts";

/** What a node's lease tells about its VXLAN device: upstream's vxlanLeaseAttrs. */
export interface VxlanData {
  readonly vni: number;
  readonly mac: MacAddress;
}

/** The value of `BackendData`, with upstream's fields in upstream's order. */
export function encodeVxlanData(data: VxlanData): Json {
  return { VNI: data.vni, VtepMAC: data.mac };
}

/** Reads the MAC address from `BackendData`. Throws a DecodeError unless it is one that a device can have. */
export function decodeVtepMac(data: Json | undefined): MacAddress {
  const field = new Decoder(data, "BackendData").field("VtepMAC");
  const text = field.string();
  const mac = text === undefined ? undefined : findMac(text);
  if (mac === undefined) return field.fail("a hardware address");
  if (!isDeviceMac(mac)) throw new DecodeError(field.path, `${mac} is not the address of one device`);
  return mac;
}

/** Like decodeVtepMac, but undefined where it throws. */
export function findVtepMac(data: Json | undefined): MacAddress | undefined {
  try {
    return decodeVtepMac(data);
  } catch {
    return undefined;
  }
}

/** True for what the kernel takes as a device's address: not zero, and not a group's (is_valid_ether_addr). */
export function isDeviceMac(mac: MacAddress): boolean {
  const bytes = macBytes(mac);
  return ((bytes[0] ?? 1) & 1) === 0 && bytes.some((byte) => byte !== 0);
}

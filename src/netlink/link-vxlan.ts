import { formatIp, type IpAddress } from "../addr/ip.ts";
import type { Attributes } from "./attribute.ts";
import type { ByteWriter } from "../base/bytes.ts";
import { putBytes, putU16Be, putU32, putU8 } from "./attribute.ts";
import * as k from "./constants.ts";
import { findAddress } from "./family.ts";

/** What makes a VXLAN device: RFC 7348's identifier and UDP port, and what it sends through. */
export interface VxlanSpec {
  readonly vni: number;
  /** UDP destination port; 0 leaves the kernel's default, 8472. */
  readonly port: number;
  /** Index of the device that carries the outer packets. */
  readonly lowerIndex: number;
  /** Source address of the outer packets. */
  readonly local: IpAddress;
  /** Whether it learns where a MAC address is from the packets it receives. */
  readonly learning: boolean;
  /** Whether it carries the Group Based Policy extension. */
  readonly gbp: boolean;
}

/** A VXLAN device as the kernel reports it. */
export interface Vxlan extends Omit<VxlanSpec, "lowerIndex" | "local"> {
  readonly lowerIndex: number | undefined;
  readonly local: IpAddress | undefined;
  /** Where packets go whose MAC address has no forwarding entry: an address, or a multicast group. */
  readonly group: IpAddress | undefined;
}

/** Writes the IFLA_INFO_DATA of a new device. Like: ip link add type vxlan id N dev D local A dstport P [no]learning */
export function putVxlan(writer: ByteWriter, spec: VxlanSpec): void {
  putU32(writer, k.IFLA_VXLAN_ID, spec.vni);
  putU32(writer, k.IFLA_VXLAN_LINK, spec.lowerIndex);
  putBytes(writer, spec.local.family === 4 ? k.IFLA_VXLAN_LOCAL : k.IFLA_VXLAN_LOCAL6, spec.local.bytes);
  putU8(writer, k.IFLA_VXLAN_LEARNING, spec.learning ? 1 : 0);
  if (spec.port !== 0) putU16Be(writer, k.IFLA_VXLAN_PORT, spec.port);
  if (spec.gbp) putBytes(writer, k.IFLA_VXLAN_GBP, new Uint8Array(0));
}

/** Decodes the IFLA_INFO_DATA of a VXLAN device. */
export function decodeVxlan(data: Attributes): Vxlan {
  return {
    vni: data.findU32(k.IFLA_VXLAN_ID) ?? 0,
    port: data.findU16Be(k.IFLA_VXLAN_PORT) ?? 0,
    lowerIndex: data.findU32(k.IFLA_VXLAN_LINK),
    local: findAddress(data.findBytes(k.IFLA_VXLAN_LOCAL) ?? data.findBytes(k.IFLA_VXLAN_LOCAL6)),
    group: findAddress(data.findBytes(k.IFLA_VXLAN_GROUP) ?? data.findBytes(k.IFLA_VXLAN_GROUP6)),
    learning: data.findU8(k.IFLA_VXLAN_LEARNING) === 1,
    gbp: data.findBytes(k.IFLA_VXLAN_GBP) !== undefined,
  };
}

/**
 * What a device has otherwise than the spec asks for, of all that only making it anew could change: `VNI 2 instead of 1`.
 * None when it is as wanted.
 */
export function vxlanDifferences(vxlan: Vxlan, spec: VxlanSpec): readonly string[] {
  const differences: string[] = [];
  compare("VNI", vxlan.vni, spec.vni);
  if (spec.port !== 0) compare("UDP port", vxlan.port, spec.port);
  compare("lower device", indexText(vxlan.lowerIndex), indexText(spec.lowerIndex));
  compare("local address", addressText(vxlan.local), addressText(spec.local));
  compare("remote address", addressText(vxlan.group), addressText(undefined));
  compare("learning", onOff(vxlan.learning), onOff(spec.learning));
  compare("GBP", onOff(vxlan.gbp), onOff(spec.gbp));
  return differences;

  function compare(name: string, found: string | number, wanted: string | number): void {
    if (found !== wanted) differences.push(`${name} ${found} instead of ${wanted}`);
  }
}

function indexText(index: number | undefined): string {
  return index === undefined ? "none" : `#${index}`;
}

function addressText(address: IpAddress | undefined): string {
  return address === undefined ? "none" : formatIp(address);
}

function onOff(value: boolean): string {
  return value ? "on" : "off";
}

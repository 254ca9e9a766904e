import { DecodeError, type Decoder } from "../base/decode.ts";
import { findText } from "../sys/file.ts";

/** VXLAN network identifiers have 24 bits (RFC 7348 §5), but `flannel.` and more digits are no interface name (IFNAMSIZ). */
const largestVni = 9_999_999;

/** An IPv4 device carries packets of at least 68 bytes (RFC 791); the outer headers take 50 more. */
const smallestMtu = 118;

/** The UDP port of the kernel's first VXLAN, older than IANA's 4789; flannel's ever since. */
const usualPort = 8472;

/** What `Backend` in net-conf.json says to the vxlan backend. */
export interface VxlanOptions {
  readonly vni: number;
  /** UDP port; 0 takes the kernel's default. */
  readonly port: number;
  /** MTU of the outer packets; 0 takes the external interface's. */
  readonly mtu: number;
  /** The Group Based Policy extension, which carries a packet's mark to the other node. */
  readonly gbp: boolean;
  readonly learning: boolean;
}

/**
 * Reads the options as upstream's vxlan.go does: absent ones have upstream's defaults, `MacPrefix` and `Name` are
 * Windows' and say nothing here. Throws a DecodeError that names the key.
 */
export function decodeVxlanOptions(backend: Decoder): VxlanOptions {
  if (backend.field("DirectRouting").boolean() === true) {
    throw new DecodeError("Backend.DirectRouting", "true is not supported yet; leave it out or set it to false");
  }
  const mtu = backend.field("MTU").integer(0, 65_535) ?? 0;
  if (mtu > 0 && mtu < smallestMtu) throw new DecodeError("Backend.MTU", `${mtu} is less than ${smallestMtu}`);
  return {
    vni: backend.field("VNI").integer(0, largestVni) ?? 1,
    port: backend.field("Port").integer(0, 65_535) ?? 0,
    mtu,
    gbp: backend.field("GBP").boolean() ?? false,
    learning: backend.field("Learning").boolean() ?? false,
  };
}

/** The port that a VXLAN device gets when none is asked for: the module's parameter, which an administrator may set. */
export function kernelVxlanPort(): number {
  const port = Number(findText("/sys/module/vxlan/parameters/udp_port")?.trim() ?? "");
  return Number.isInteger(port) && port > 0 ? port : usualPort;
}

import type { MacAddress } from "../addr/mac.ts";
import type { ByteWriter } from "../base/bytes.ts";
import type { Fd } from "../sys/fd.ts";
import { putNested, putString, putText, putU32, putU8 } from "./attribute.ts";
import * as k from "./constants.ts";
import { type LinkChanges, putLinkChanges, putLinkHeader } from "./link.ts";
import { putVxlan, type VxlanSpec } from "./link-vxlan.ts";
import { buildRequest, type Request } from "./message.ts";

/** A device that is to be made. */
export type LinkSpec = BridgeSpec | VethSpec | VxlanLinkSpec;

interface CommonSpec {
  readonly name: string;
  /** An explicit MAC address is marked as set by somebody, which keeps udev's MACAddressPolicy away from it. */
  readonly mac: MacAddress;
  /** Bytes; 0 leaves the kernel's default. */
  readonly mtu: number;
  readonly up: boolean;
}

/** Like: ip link add NAME type bridge */
interface BridgeSpec extends CommonSpec {
  readonly kind: "bridge";
  readonly vlanFiltering: boolean;
}

/** Like: ip link add NAME master BRIDGE type veth peer name PEER netns NS; one message makes, attaches and starts it. */
export interface VethSpec extends CommonSpec {
  readonly kind: "veth";
  /** Index of the bridge it becomes a port of. */
  readonly master: number | undefined;
  readonly peer: VethPeerSpec;
}

/** The other end of a veth pair. It cannot be made already up: the kernel sets it up before the ends are joined. */
interface VethPeerSpec {
  readonly name: string;
  readonly mac: MacAddress;
  /** The network namespace in which it is made. */
  readonly netns: Fd;
}

/** Like: ip link add NAME type vxlan … */
export interface VxlanLinkSpec extends CommonSpec {
  readonly kind: "vxlan";
  readonly vxlan: VxlanSpec;
}

/** Makes a device; refused with EEXIST when the name is taken. Like: ip link add */
export function addLink(spec: LinkSpec): Request {
  const flags = k.NLM_F_CREATE | k.NLM_F_EXCL;
  return buildRequest(k.RTM_NEWLINK, flags, `add ${spec.kind} ${spec.name}`, (writer) => {
    putLinkHeader(writer, { up: spec.up });
    putString(writer, k.IFLA_IFNAME, spec.name);
    const changes: LinkChanges = { mac: spec.mac, mtu: spec.mtu };
    putLinkChanges(
      writer,
      spec.kind === "veth" && spec.master !== undefined ? { ...changes, master: spec.master } : changes,
    );
    putNested(writer, k.IFLA_LINKINFO, () => {
      putText(writer, k.IFLA_INFO_KIND, spec.kind);
      putNested(writer, k.IFLA_INFO_DATA, () => putKindData(writer, spec));
    });
  });
}

function putKindData(writer: ByteWriter, spec: LinkSpec): void {
  switch (spec.kind) {
    case "bridge":
      if (spec.vlanFiltering) putU8(writer, k.IFLA_BR_VLAN_FILTERING, 1);
      return;
    case "veth":
      putNested(writer, k.VETH_INFO_PEER, () => {
        putLinkHeader(writer, {});
        putString(writer, k.IFLA_IFNAME, spec.peer.name);
        putLinkChanges(writer, { mac: spec.peer.mac, mtu: spec.mtu });
        putU32(writer, k.IFLA_NET_NS_FD, spec.peer.netns.number);
      });
      return;
    case "vxlan":
      putVxlan(writer, spec.vxlan);
  }
}

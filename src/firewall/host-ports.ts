/** Host ports as entries of the table: what a mapping is made of. Pure. */
import { type Family, formatIp, type IpAddress, ipFromBytes, isUnspecified } from "../addr/ip.ts";
import { elementBytes } from "../netlink/nftables-set.ts";
import {
  deviceSetName,
  everySetName,
  hostPortChains,
  hostPortIndex,
  markBytes,
  portMapName,
} from "./host-port-table.ts";
import { ipProtocols } from "./ip-protocols.ts";
import { interfaceBytes, type PodEntry, type PodSets, type SetKey } from "./pod-sets.ts";
import { podTable } from "./pod-table.ts";

/** Which connections to a host port get an address of the host as their source. */
export type SourceRewrite =
  | { readonly kind: "none" }
  /** Those that come through the device behind which the pod is, and those from 127.0.0.1. */
  | { readonly kind: "local"; readonly device: string; readonly markBit: number }
  | { readonly kind: "all"; readonly markBit: number };

/** A port of the host. */
export interface HostPort {
  readonly family: Family;
  /** Undefined for all addresses of the host. */
  readonly address: IpAddress | undefined;
  /** IPPROTO_… */
  readonly protocol: number;
  readonly port: number;
}

/** A port of the host that leads to one of a pod. */
export interface PortForward extends HostPort {
  readonly target: IpAddress;
  readonly targetPort: number;
  readonly source: SourceRewrite;
}

/** What stands for the device where all connections are rewritten; the kernel gives no device this name. */
const allDevices = "all";
const mappedPrefix = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

export const hostPortSets: PodSets = {
  table: podTable,
  index: hostPortIndex,
  chains: hostPortChains,
  keysOf: (index) => {
    const { hostPort, source } = decodeIndex(index);
    return [portKey(hostPort), ...sourceKeys(hostPort, source)];
  },
};

/** The entry of one mapping. */
export function portEntry(forward: PortForward): PodEntry {
  const { target, targetPort, source } = forward;
  const data = elementBytes([target.bytes, portBytes(targetPort)]);
  return {
    index: encodeIndex(forward, source),
    elements: [{ ...portKey(forward), data }, ...sourceKeys(forward, source)],
    text: hostPortText(forward),
  };
}

/** The host port of an entry of the index. */
export function decodeHostPort(index: Uint8Array): HostPort {
  return decodeIndex(index).hostPort;
}

/** `host port 8080/tcp`, `host port 127.0.0.1:8080/tcp` */
export function hostPortText({ address, protocol, port }: HostPort): string {
  const name = Object.entries(ipProtocols).find(([, number]) => number === protocol)?.[0] ?? String(protocol);
  const host = address === undefined ? "" : `${address.family === 6 ? `[${formatIp(address)}]` : formatIp(address)}:`;
  return `host port ${host}${port}/${name}`;
}

function portKey({ family, address, protocol, port }: HostPort): SetKey {
  const service = [Uint8Array.of(protocol), portBytes(port)];
  return {
    set: portMapName(family, address !== undefined),
    key: elementBytes(address === undefined ? service : [address.bytes, ...service]),
  };
}

function sourceKeys(hostPort: HostPort, source: SourceRewrite): readonly SetKey[] {
  if (source.kind === "none") return [];
  const { family, address } = hostPort;
  const { key } = portKey(hostPort);
  if (source.kind === "all") return [{ set: everySetName(family, address !== undefined, source.markBit), key }];
  const set = deviceSetName(family, address !== undefined, source.markBit);
  // ::1 does not leave the host, whatever its settings.
  const devices = family === 4 ? [source.device, "lo"] : [source.device];
  return devices.map((device) => ({ set, key: elementBytes([interfaceBytes(device), key]) }));
}

function encodeIndex({ family, address, protocol, port }: HostPort, source: SourceRewrite): Uint8Array {
  const device = source.kind === "local" ? source.device : source.kind === "all" ? allDevices : "";
  return elementBytes([
    wideAddress(family, address),
    Uint8Array.of(protocol),
    portBytes(port),
    interfaceBytes(device),
    source.kind === "none" ? new Uint8Array(4) : markBytes(source.markBit),
  ]);
}

function decodeIndex(index: Uint8Array): { readonly hostPort: HostPort; readonly source: SourceRewrite } {
  const address = narrowAddress(index.subarray(0, 16));
  const port = ((index[20] ?? 0) << 8) | (index[21] ?? 0);
  const name = index.subarray(24, 40);
  const device = new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
  const markBit = Math.log2(index.subarray(40, 44).reduceRight((mark, byte) => mark * 256 + byte, 0));
  const hostPort = {
    family: address.family,
    address: isUnspecified(address) ? undefined : address,
    protocol: index[16] ?? 0,
    port,
  };
  if (device === "") return { hostPort, source: { kind: "none" } };
  const kind = device === allDevices ? "all" : "local";
  return { hostPort, source: kind === "all" ? { kind, markBit } : { kind, device, markBit } };
}

/** An address of either family in 16 bytes, that of all addresses included; IPv4's as nft shows it, ::ffff:192.0.2.1. */
export function wideAddress(family: Family, address: IpAddress | undefined): Uint8Array {
  const bytes = new Uint8Array(16);
  if (family === 4) bytes.set(mappedPrefix);
  if (address !== undefined) bytes.set(address.bytes, family === 4 ? 12 : 0);
  return bytes;
}

/** The address of wideAddress. */
export function narrowAddress(wide: Uint8Array): IpAddress {
  const mapped = mappedPrefix.every((byte, place) => wide[place] === byte);
  return ipFromBytes(mapped ? wide.subarray(12, 16) : wide.subarray(0, 16));
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port);
}

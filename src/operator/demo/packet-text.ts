/**
 * Captured packets as `tcpdump -n -v -T vxlan` prints them: a packet of UDP port 8472 is unwrapped. Only what the demo
 * sends is known; anything else gives undefined.
 */
import { ByteReader, ShortReadError } from "../../base/bytes.ts";
import type { CapturedFrame } from "../../sys/packet.ts";

const ETH_P_IP = 0x0800;
const ethernetHeaderLength = 14;
const IPPROTO_ICMP = 1;
const IPPROTO_UDP = 17;
/** The port that the kernel and flannel use for VXLAN; IANA's later number is 4789. */
const vxlanPort = 8472;

/** The lines of one packet: the first begins with the time of day. Undefined for what is neither ping nor its tunnel. */
export function findPacketLines(frame: CapturedFrame): readonly string[] | undefined {
  try {
    const lines = findIpLines(frame.bytes);
    if (lines === undefined) return undefined;
    const [first = "", ...rest] = lines;
    return [`${timeOfDay(frame)} ${first}`, ...rest];
  } catch (error) {
    // Cut off or malformed, so it is not ours.
    if (error instanceof ShortReadError) return undefined;
    throw error;
  }
}

/** Local time with microseconds: `06:48:05.767068`. */
function timeOfDay(frame: CapturedFrame): string {
  const time = new Date(frame.seconds * 1000);
  const parts = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, "0"));
  return `${parts.join(":")}.${String(Math.floor(frame.nanoseconds / 1000)).padStart(6, "0")}`;
}

/** An Ethernet frame that holds IPv4. */
function findIpLines(frame: Uint8Array): readonly string[] | undefined {
  const ethernet = new ByteReader(frame);
  ethernet.skip(12);
  if (ethernet.be16() !== ETH_P_IP) return undefined;
  const packet = frame.subarray(ethernetHeaderLength);
  const header = decodeIpHeader(packet);
  if (header === undefined) return undefined;
  const payload = packet.subarray(header.headerLength, header.totalLength);
  const rest = header.protocol === IPPROTO_UDP ? findUdpLines(header, payload) : findIcmpLines(header, payload);
  return rest === undefined ? undefined : [header.line, ...rest];
}

interface IpHeader {
  readonly protocol: number;
  readonly headerLength: number;
  readonly totalLength: number;
  readonly source: string;
  readonly destination: string;
  readonly line: string;
}

/** RFC 791, section 3.1. */
function decodeIpHeader(packet: Uint8Array): IpHeader | undefined {
  const reader = new ByteReader(packet);
  const first = reader.u8();
  if (first >> 4 !== 4) return undefined;
  const tos = reader.u8();
  const totalLength = reader.be16();
  const id = reader.be16();
  const fragment = reader.be16();
  const ttl = reader.u8();
  const protocol = reader.u8();
  reader.skip(2);
  const source = reader.bytes(4).join(".");
  const destination = reader.bytes(4).join(".");
  const flags = [(fragment & 0x4000) === 0 ? "" : "DF", (fragment & 0x2000) === 0 ? "" : "+"].join("");
  const words = [
    `tos 0x${tos.toString(16)}`,
    `ttl ${ttl}`,
    `id ${id}`,
    `offset ${(fragment & 0x1fff) * 8}`,
    `flags [${flags === "" ? "none" : flags}]`,
    `proto ${protocol === IPPROTO_ICMP ? "ICMP" : "UDP"} (${protocol})`,
    `length ${totalLength}`,
  ];
  if (protocol !== IPPROTO_ICMP && protocol !== IPPROTO_UDP) return undefined;
  return {
    protocol,
    headerLength: (first & 0xf) * 4,
    totalLength,
    source,
    destination,
    line: `IP (${words.join(", ")})`,
  };
}

/** RFC 792, echo and echo reply. */
function findIcmpLines(header: IpHeader, message: Uint8Array): readonly string[] | undefined {
  const reader = new ByteReader(message);
  const type = reader.u8();
  if (type !== 0 && type !== 8) return undefined;
  reader.skip(3);
  const id = reader.be16();
  const sequence = reader.be16();
  const name = type === 8 ? "request" : "reply";
  const text = `ICMP echo ${name}, id ${id}, seq ${sequence}, length ${message.length}`;
  return [`    ${header.source} > ${header.destination}: ${text}`];
}

/**
 * RFC 7348, section 5: a UDP header, then flags, 24 bits reserved, the VXLAN network identifier of 24 bits, 8 bits
 * reserved, and the inner Ethernet frame.
 */
function findUdpLines(header: IpHeader, datagram: Uint8Array): readonly string[] | undefined {
  const reader = new ByteReader(datagram);
  const sourcePort = reader.be16();
  const destinationPort = reader.be16();
  if (destinationPort !== vxlanPort) return undefined;
  reader.skip(4);
  const flags = reader.u8();
  reader.skip(3);
  const vni = reader.be32() >>> 8;
  const inner = findIpLines(reader.bytes(reader.remaining));
  if (inner === undefined) return undefined;
  const flagsText = `flags [${(flags & 0x08) === 0 ? "." : "I"}] (0x${flags.toString(16).padStart(2, "0")})`;
  const ends = `${header.source}.${sourcePort} > ${header.destination}.${destinationPort}`;
  return [`    ${ends}: VXLAN, ${flagsText}, vni ${vni}`, ...inner];
}

/** A program: sends one SCTP INIT to a port of an IPv4 address by a raw socket. Its words are the address and the port. */
import { parseIp } from "../../src/addr/ip.ts";
import { ByteWriter } from "../../src/base/bytes.ts";
import { openSocket, sendDatagram, socketConstants } from "../../src/sys/socket.ts";

const IPPROTO_SCTP = 132;
const [address = "", port = ""] = process.argv.slice(2);
using socket = openSocket(socketConstants.AF_INET, socketConstants.SOCK_RAW, IPPROTO_SCTP);
const target = new ByteWriter(16).u16(socketConstants.AF_INET).be16(0).bytes(parseIp(address).bytes).zeros(8);
sendDatagram(socket, encodeInit(40_000, Number(port)), target.finish());

/** RFC 9260 §3: the common header, and an INIT chunk without parameters. */
function encodeInit(from: number, to: number): Uint8Array {
  const packet = new ByteWriter(32).be16(from).be16(to).be32(0).u32(0);
  packet.u8(1).u8(0).be16(20).be32(0x1234_5678).be32(65_536).be16(1).be16(1).be32(1);
  packet.patchU32(8, crc32c(packet.finish()));
  return packet.finish();
}

/** RFC 9260, appendix A; conntrack takes no packet whose checksum is wrong. */
function crc32c(bytes: Uint8Array): number {
  let sum = 0xffff_ffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f6_3b78 : sum >>> 1;
  }
  return ~sum >>> 0;
}

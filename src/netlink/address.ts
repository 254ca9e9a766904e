/**
 * Addresses of devices.
 *
 *     struct ifaddrmsg { __u8 ifa_family, ifa_prefixlen, ifa_flags, ifa_scope; __u32 ifa_index; };
 */
import { type Cidr, cidrOf, formatCidr, lastAddress } from "../addr/cidr.ts";
import type { Family } from "../addr/ip.ts";
import { ByteReader, type ByteWriter } from "../base/bytes.ts";
import { Attributes, putBytes, putU32 } from "./attribute.ts";
import * as k from "./constants.ts";
import { addressFamily, findAddress } from "./family.ts";
import { buildRequest, type Reply, type Request } from "./message.ts";
import { dumpOrNone, type NetlinkSocket } from "./socket.ts";

/** An address that a device has or is to have. */
export interface AddressSpec {
  readonly interfaceIndex: number;
  readonly address: Cidr;
  /** True when the kernel is to look for duplicates of an IPv6 address; it cannot be used meanwhile. */
  readonly detectDuplicates?: boolean;
}

/** An address as the kernel reports it. */
export interface Address extends AddressSpec {
  readonly scope: number;
  /** IFA_F_… bits. */
  readonly flags: number;
}

/** The addresses of one device, or of all. Like: ip address show [dev D] */
export function listAddresses(socket: NetlinkSocket, interfaceIndex = 0, family?: Family): readonly Address[] {
  const request = buildRequest(k.RTM_GETADDR, 0, "list addresses", (writer) =>
    writer.u8(addressFamily(family)).zeros(3).u32(interfaceIndex),
  );
  const addresses: Address[] = [];
  for (const reply of dumpOrNone(socket, request)) {
    const address = findDecodedAddress(reply);
    // The kernel's IPv4 dump knows the filter by index only since 4.20 and with NETLINK_GET_STRICT_CHK.
    if (address === undefined || (interfaceIndex !== 0 && address.interfaceIndex !== interfaceIndex)) continue;
    addresses.push(address);
  }
  return addresses;
}

/**
 * Gives a device an address, or leaves it when the device has it. IPv6 addresses are usable at once: duplicate address
 * detection is left out, as the address is reserved elsewhere. Like: ip address replace A dev D [nodad]
 */
export function replaceAddress(spec: AddressSpec): Request {
  return addressRequest(k.RTM_NEWADDR, k.NLM_F_CREATE | k.NLM_F_REPLACE, "set address", spec);
}

/** Gives a device an address; refused with EEXIST when it has it. Like: ip address add A dev D [nodad] */
export function addAddress(spec: AddressSpec): Request {
  return addressRequest(k.RTM_NEWADDR, k.NLM_F_CREATE | k.NLM_F_EXCL, "add address", spec);
}

/** Like: ip address delete A dev D */
export function deleteAddress(spec: AddressSpec): Request {
  return addressRequest(k.RTM_DELADDR, 0, "delete address", spec);
}

/** Decodes RTM_NEWADDR and RTM_DELADDR; undefined for a family that tartan does not know. */
export function findDecodedAddress(reply: Reply): Address | undefined {
  const reader = new ByteReader(reply.body);
  reader.skip(1);
  const prefixLength = reader.u8();
  const shortFlags = reader.u8();
  const scope = reader.u8();
  const interfaceIndex = reader.u32();
  const attributes = new Attributes(reader.bytes(reader.remaining));
  // On a point-to-point device IFA_ADDRESS is the other end's; the device's own is IFA_LOCAL (if_addr.h).
  const own = attributes.findBytes(k.IFA_LOCAL) ?? attributes.findBytes(k.IFA_ADDRESS);
  const address = findAddress(own);
  if (address === undefined) return undefined;
  const flags = attributes.findU32(k.IFA_FLAGS) ?? shortFlags;
  return { interfaceIndex, address: cidrOf(address, prefixLength), scope, flags };
}

function addressRequest(type: number, flags: number, verb: string, spec: AddressSpec): Request {
  const { address, interfaceIndex } = spec;
  return buildRequest(type, flags, `${verb} ${formatCidr(address)} dev #${interfaceIndex}`, (writer) => {
    writer.u8(addressFamily(address.family)).u8(address.prefixLength).u8(0).u8(k.RT_SCOPE_UNIVERSE).u32(interfaceIndex);
    putBytes(writer, k.IFA_LOCAL, address.address.bytes);
    putBytes(writer, k.IFA_ADDRESS, address.address.bytes);
    if (type === k.RTM_NEWADDR) putFamilyDetails(writer, spec);
  });
}

/** An IPv4 subnet of at least four addresses has a broadcast address; IPv6 has none, but detection of duplicates. */
function putFamilyDetails(writer: ByteWriter, { address, detectDuplicates = false }: AddressSpec): void {
  if (address.family === 6) putU32(writer, k.IFA_FLAGS, detectDuplicates ? 0 : k.IFA_F_NODAD);
  else if (address.prefixLength <= 30) putBytes(writer, k.IFA_BROADCAST, lastAddress(address).bytes);
}

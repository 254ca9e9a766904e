import { type ByFamily, type Family, findIp, formatIp, type IpAddress, isUnspecified } from "../addr/ip.ts";
import type { Cidr } from "../addr/cidr.ts";
import { Decoder, type Json, parseJson } from "../base/decode.ts";
import type { Lease, LeaseAttributes } from "./lease.ts";

/** Puts a lease together. */
export function leaseOf(key: string, subnets: ByFamily<Cidr>, attributes: LeaseAttributes): Lease {
  const { publicIps, backendType, backendData } = attributes;
  return { key, subnets, publicIps, backendType, backendData };
}

/**
 * The value of a lease as flannel keeps it in etcd: upstream's LeaseAttrs with its rules of what is left out, so that
 * both read each other's.
 *
 *     PublicIP      ip.IP4
 *     PublicIPv6    *ip.IP6
 *     BackendType   string          `json:",omitempty"`
 *     BackendData   json.RawMessage `json:",omitempty"`
 *     BackendV6Data json.RawMessage `json:",omitempty"`
 */
export function encodeLeaseAttributes(attributes: LeaseAttributes): string {
  const { publicIps, backendType, backendData } = attributes;
  return JSON.stringify({
    PublicIP: publicIps[4] === undefined ? "0.0.0.0" : formatIp(publicIps[4]),
    PublicIPv6: publicIps[6] === undefined ? null : formatIp(publicIps[6]),
    ...(backendType === "" ? {} : { BackendType: backendType }),
    ...(backendData[4] === undefined ? {} : { BackendData: backendData[4] }),
    ...(backendData[6] === undefined ? {} : { BackendV6Data: backendData[6] }),
  });
}

/** Reads the value of a lease. Unknown fields are passed over. Throws a DecodeError. */
export function decodeLeaseAttributes(text: string): LeaseAttributes {
  const document = new Decoder(parseJson(text));
  if (document.object() === undefined) document.fail("an object");
  const publicIp = publicIpOf(document.field("PublicIP"), 4);
  if (publicIp === undefined) document.field("PublicIP").fail("the node's IPv4 address");
  return {
    publicIps: { 4: publicIp, 6: publicIpOf(document.field("PublicIPv6"), 6) },
    backendType: document.field("BackendType").string() ?? "",
    backendData: { 4: dataOf(document.field("BackendData")), 6: dataOf(document.field("BackendV6Data")) },
  };
}

/** True when both say the same. */
export function sameAttributes(left: LeaseAttributes, right: LeaseAttributes): boolean {
  return encodeLeaseAttributes(left) === encodeLeaseAttributes(right);
}

/** Undefined when absent. 0.0.0.0 is what Go writes for no address. */
function publicIpOf(field: Decoder, family: Family): IpAddress | undefined {
  const text = field.string();
  if (text === undefined) return undefined;
  const address = findIp(text);
  if (address?.family !== family || isUnspecified(address)) field.fail(`an IPv${family} address`);
  return address;
}

function dataOf(field: Decoder): Json | undefined {
  return field.absent ? undefined : field.value;
}

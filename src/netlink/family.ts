import { type Family, ipFromBytes, type IpAddress } from "../addr/ip.ts";
import { AF_INET, AF_INET6, AF_UNSPEC } from "./constants.ts";

/** The kernel's number for an address family; AF_UNSPEC, which asks for all, when none is given. */
export function addressFamily(family: Family | undefined): number {
  if (family === undefined) return AF_UNSPEC;
  return family === 4 ? AF_INET : AF_INET6;
}

/** The family behind the kernel's number, undefined for one that tartan does not know. */
export function findFamily(number: number): Family | undefined {
  if (number === AF_INET) return 4;
  return number === AF_INET6 ? 6 : undefined;
}

/** The address in an attribute, undefined when the attribute is absent. */
export function findAddress(bytes: Uint8Array | undefined): IpAddress | undefined {
  return bytes === undefined || (bytes.length !== 4 && bytes.length !== 16) ? undefined : ipFromBytes(bytes);
}

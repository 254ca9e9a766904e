/** Which of the host's interfaces carries the outer packets, by upstream's rules (pkg/ipmatch/match.go, pkg/ip/iface.go). */
import type { ExternalInterface } from "../backend/overlay.ts";
import { findIp, formatIp, type IpAddress, ipEquals } from "../addr/ip.ts";
import type { Address } from "../netlink/address.ts";
import { IFA_F_DEPRECATED, IFA_F_PERMANENT, IFA_F_TEMPORARY } from "../netlink/constants.ts";
import type { Link, LinkId } from "../netlink/link.ts";
import { isDefaultRoute, type Route } from "../netlink/route.ts";

/** A regular expression of Go's. */
export interface InterfacePattern {
  /** As it was given. */
  readonly text: string;
  /** What matches the same. */
  readonly regexp: RegExp;
}

/** What the flags say about it. */
export interface InterfaceRule {
  /** Addresses or names, in the order in which they are tried. */
  readonly interfaces: readonly string[];
  /** Tried after those, each first on all addresses, then on all names. */
  readonly interfacePatterns: readonly InterfacePattern[];
  /** Tried last: the interface, and the address, that packets to this one leave by. */
  readonly reach: IpAddress | undefined;
  /** Looked for among the host's own addresses when no interface is given. */
  readonly publicIp: IpAddress | undefined;
}

/** The host's IPv4 addresses, its main routes and its devices; each is asked for only where the rule needs it. */
export interface Host {
  addresses(): readonly Address[];
  routes(): readonly Route[];
  findLink(id: LinkId): Link | undefined;
  links(): readonly Link[];
  findRouteTo(address: IpAddress): Route | undefined;
}

/**
 * Chooses the interface: the first of the given names, patterns and destinations that leads to one; or, where none is
 * given, the one that has the public IP, or the default route's.
 * Throws an Error that says what was looked for.
 */
export function chooseInterface(rule: InterfaceRule, host: Host): ExternalInterface {
  const attempts = givenAttempts(rule, host);
  if (attempts.length > 0) return chooseFirst(attempts);
  if (rule.publicIp !== undefined) return byPublicIp(rule.publicIp, host);
  return byDefaultRoute(host);
}

/**
 * The interface as it is now, or undefined when it is no longer there, has another name, or has lost its address. As
 * long as it is there it stays chosen: a default route that goes and comes would otherwise move the node.
 */
export function findUnchanged(external: ExternalInterface, host: Host): ExternalInterface | undefined {
  const link = host.findLink({ index: external.index });
  const address = external.addresses[4];
  if (link?.name !== external.name || address === undefined) return undefined;
  const has = host
    .addresses()
    .some((own) => own.interfaceIndex === link.index && ipEquals(own.address.address, address));
  if (!has) return undefined;
  return link.mtu === external.mtu ? external : { ...external, mtu: link.mtu };
}

/** The addresses of an interface in the order in which upstream takes them; those of other interfaces are left out. */
export function usableAddresses(addresses: readonly Address[], interfaceIndex: number): readonly IpAddress[] {
  return addresses
    .filter((own) => own.interfaceIndex === interfaceIndex && !isLoopback(own) && (own.flags & IFA_F_DEPRECATED) === 0)
    .toSorted((left, right) => rank(left) - rank(right))
    .map(({ address }) => address.address);
}

type Attempt = () => ExternalInterface;

function givenAttempts({ interfaces, interfacePatterns, reach }: InterfaceRule, host: Host): readonly Attempt[] {
  return [
    ...interfaces.map((text) => (): ExternalInterface => {
      const address = findIp(text);
      return address === undefined ? byName(text, host) : byAddress(address, host);
    }),
    ...interfacePatterns.map((pattern) => (): ExternalInterface => byPattern(pattern, host)),
    ...(reach === undefined ? [] : [(): ExternalInterface => byReach(reach, host)]),
  ];
}

function chooseFirst(attempts: readonly Attempt[]): ExternalInterface {
  const misses: string[] = [];
  for (const attempt of attempts) {
    try {
      return attempt();
    } catch (error) {
      if (!(error instanceof NoInterfaceError)) throw error;
      misses.push(error.reason);
    }
  }
  throw new NoInterfaceError(misses.join("; "));
}

function byPattern({ text, regexp }: InterfacePattern, host: Host): ExternalInterface {
  const links = host.links();
  const addresses = host.addresses();
  for (const link of links) {
    const own = usableAddresses(addresses, link.index).find((address) => regexp.test(formatIp(address)));
    if (own !== undefined) return externalInterface(link, own);
  }
  const named = links.find(({ name }) => regexp.test(name));
  if (named !== undefined) return byLink(named, host);
  const shown = links.map(({ name, index }) => {
    return `${name} (${usableAddresses(addresses, index).map(formatIp).join(", ") || "no address"})`;
  });
  throw new NoInterfaceError(`nothing matches "${text}": there is ${shown.join(", ")}`);
}

function byReach(address: IpAddress, host: Host): ExternalInterface {
  const route = host.findRouteTo(address);
  const link = route?.interfaceIndex === undefined ? undefined : host.findLink({ index: route.interfaceIndex });
  if (link === undefined || route === undefined) throw new NoInterfaceError(`no route leads to ${formatIp(address)}`);
  return route.source === undefined ? byLink(link, host) : externalInterface(link, route.source);
}

function byPublicIp(publicIp: IpAddress, host: Host): ExternalInterface {
  try {
    return byAddress(publicIp, host);
  } catch (error) {
    if (!(error instanceof NoInterfaceError)) throw error;
    throw new NoInterfaceError(`${error.reason} (where --public-ip is translated by NAT, give --iface as well)`);
  }
}

function byAddress(address: IpAddress, host: Host): ExternalInterface {
  const own = host.addresses().find((candidate) => ipEquals(candidate.address.address, address));
  const link = own === undefined ? undefined : host.findLink({ index: own.interfaceIndex });
  if (link === undefined) throw new NoInterfaceError(`no interface has the address ${formatIp(address)}`);
  return externalInterface(link, address);
}

function byName(name: string, host: Host): ExternalInterface {
  // A longer name would be refused by the kernel with an error that says nothing of names (IFNAMSIZ).
  const link = new TextEncoder().encode(name).length > 15 ? undefined : host.findLink({ name });
  if (link === undefined) throw new NoInterfaceError(`there is no interface "${name}"`);
  return byLink(link, host);
}

function byDefaultRoute(host: Host): ExternalInterface {
  const route = host.routes().find(({ destination }) => isDefaultRoute(destination));
  if (route === undefined) throw new NoInterfaceError("there is no default route, and no --iface is given");
  const link = route.interfaceIndex === undefined ? undefined : host.findLink({ index: route.interfaceIndex });
  if (link === undefined) throw new NoInterfaceError("the default route leads through no one interface; give --iface");
  return byLink(link, host);
}

function byLink(link: Link, host: Host): ExternalInterface {
  const [address] = usableAddresses(host.addresses(), link.index);
  if (address === undefined)
    throw new NoInterfaceError(`interface "${link.name}" has no IPv4 address that can be used`);
  return externalInterface(link, address);
}

function externalInterface(link: Link, address: IpAddress): ExternalInterface {
  if (link.mtu === 0) throw new NoInterfaceError(`interface "${link.name}" has the MTU 0, which takes no packet`);
  return { index: link.index, name: link.name, mtu: link.mtu, addresses: { 4: address, 6: undefined } };
}

/** None of the host's interfaces is the one that is looked for. */
class NoInterfaceError extends Error {
  override readonly name = "NoInterfaceError";
  readonly reason: string;

  constructor(reason: string) {
    super(`Cannot choose the external interface: ${reason}`);
    this.reason = reason;
  }
}

/** Global before link-local, then permanent before dynamic, then primary before secondary; else the kernel's order. */
function rank({ address, flags }: Address): number {
  const linkLocal = address.address.bytes[0] === 169 && address.address.bytes[1] === 254;
  const permanent = (flags & IFA_F_PERMANENT) !== 0;
  // The bit means "temporary" for IPv6, and "secondary" for IPv4.
  const temporary = (flags & IFA_F_TEMPORARY) !== 0;
  return (linkLocal ? 4 : 0) + (permanent ? 0 : 2) + (temporary ? 1 : 0);
}

function isLoopback({ address }: Address): boolean {
  return address.address.bytes[0] === 127;
}

import { expect, test } from "bun:test";
import { parseCidr } from "../../../src/addr/cidr.ts";
import { formatIp, parseIp } from "../../../src/addr/ip.ts";
import {
  chooseInterface,
  findUnchanged,
  type Host,
  type InterfacePattern,
  type InterfaceRule,
  usableAddresses,
} from "../../../src/daemon/interface.ts";
import type { Address } from "../../../src/netlink/address.ts";
import {
  IFA_F_DEPRECATED,
  IFA_F_PERMANENT,
  IFA_F_TEMPORARY,
  RT_TABLE_MAIN,
  RTPROT_BOOT,
} from "../../../src/netlink/constants.ts";
import type { Route } from "../../../src/netlink/route.ts";
import { vxlanLink } from "../backend/fixtures.ts";

const names = new Map([
  [1, "lo"],
  [2, "eth0"],
  [3, "eth1"],
  [4, "bare0"],
]);

function address(interfaceIndex: number, text: string, flags: number = IFA_F_PERMANENT): Address {
  return { interfaceIndex, address: parseCidr(text), scope: 0, flags };
}

const addresses = [
  address(1, "127.0.0.1/8"),
  address(2, "10.0.0.2/24"),
  address(2, "10.0.0.3/24", IFA_F_PERMANENT | IFA_F_TEMPORARY),
  address(3, "192.168.1.3/24"),
];

function defaultRoute(interfaceIndex: number | undefined): Route {
  return {
    destination: parseCidr("0.0.0.0/0"),
    gateway: parseIp("10.0.0.1"),
    interfaceIndex,
    onLink: false,
    protocol: RTPROT_BOOT,
    scope: 0,
    table: RT_TABLE_MAIN,
    priority: 0,
    mtu: undefined,
    advmss: undefined,
    source: undefined,
  };
}

function host(
  changes: {
    readonly routes?: readonly Route[];
    readonly addresses?: readonly Address[];
    readonly mtu?: number;
    readonly way?: Route;
  } = {},
): Host {
  const links = [...names].map(([index, name]) => {
    return vxlanLink({ index, name, mtu: changes.mtu ?? 1500, kind: undefined, vxlan: undefined });
  });
  return {
    addresses: () => changes.addresses ?? addresses,
    routes: () => changes.routes ?? [defaultRoute(2)],
    findLink: (id) => links.find((link) => ("index" in id ? id.index === link.index : id.name === link.name)),
    links: () => links,
    findRouteTo: () => changes.way,
  };
}

const noRule: InterfaceRule = { interfaces: [], interfacePatterns: [], reach: undefined, publicIp: undefined };

function patterns(...expressions: readonly RegExp[]): readonly InterfacePattern[] {
  return expressions.map((regexp) => ({ text: regexp.source, regexp }));
}

/** The choice in short: `eth0 10.0.0.2`. */
function chosen(rule: Partial<InterfaceRule>, where: Host = host()): string {
  const external = chooseInterface({ ...noRule, ...rule }, where);
  return `${external.name} ${external.addresses[4] === undefined ? "" : formatIp(external.addresses[4])}`;
}

test("chooseInterface() takes the default route's interface, with its first address", () => {
  expect(chosen({})).toBe("eth0 10.0.0.2");
  expect(chosen({}, host({ routes: [defaultRoute(3), defaultRoute(2)] }))).toBe("eth1 192.168.1.3");
});

test("chooseInterface() takes a given interface by address, with that address, or by name", () => {
  expect(chosen({ interfaces: ["10.0.0.3"] })).toBe("eth0 10.0.0.3");
  expect(chosen({ interfaces: ["eth1"] })).toBe("eth1 192.168.1.3");
  expect(chosen({ interfaces: ["gone0", "bare0", "172.16.0.1", "eth1", "eth0"] })).toBe("eth1 192.168.1.3");
});

test("chooseInterface() takes the interface that has the public IP, unless one is given", () => {
  expect(chosen({ publicIp: parseIp("192.168.1.3") })).toBe("eth1 192.168.1.3");
  expect(chosen({ publicIp: parseIp("192.168.1.3"), interfaces: ["eth0"] })).toBe("eth0 10.0.0.2");
});

test("chooseInterface() tries patterns after what is given outright: addresses of all interfaces, then names", () => {
  expect(chosen({ interfacePatterns: patterns(/^192\.168\./) })).toBe("eth1 192.168.1.3");
  expect(chosen({ interfacePatterns: patterns(/\.3$/) })).toBe("eth0 10.0.0.3");
  expect(chosen({ interfacePatterns: patterns(/^eth1$/) })).toBe("eth1 192.168.1.3");
  expect(chosen({ interfacePatterns: patterns(/^ens/, /^eth1$/, /^eth0$/) })).toBe("eth1 192.168.1.3");
  expect(chosen({ interfacePatterns: patterns(/eth1/), interfaces: ["gone0", "eth0"] })).toBe("eth0 10.0.0.2");
  // What names an interface without an address has found none.
  expect(chosen({ interfacePatterns: patterns(/^bare0$/, /^eth1$/) })).toBe("eth1 192.168.1.3");
});

test("chooseInterface() tries last what packets to an address leave by, with the address that they would have", () => {
  const way = { ...defaultRoute(3), source: parseIp("192.168.1.3") };
  const rule = { reach: parseIp("8.8.8.8"), publicIp: parseIp("10.0.0.2") };
  expect(chosen(rule, host({ way }))).toBe("eth1 192.168.1.3");
  expect(chosen({ ...rule, interfacePatterns: patterns(/^nothing$/) }, host({ way }))).toBe("eth1 192.168.1.3");
  expect(chosen({ ...rule, interfaces: ["eth0"] }, host({ way }))).toBe("eth0 10.0.0.2");
});

test.each<readonly [string, Partial<InterfaceRule>, Host, string]>([
  [
    "no match of a pattern",
    { interfacePatterns: patterns(/^ens/), reach: parseIp("8.8.8.8") },
    host(),
    'nothing matches "^ens": there is lo (no address), eth0 (10.0.0.2, 10.0.0.3), eth1 (192.168.1.3), bare0 (no address); no route leads to 8.8.8.8',
  ],
  ["no default route", {}, host({ routes: [] }), "there is no default route, and no --iface is given"],
  [
    "a default route over several devices",
    {},
    host({ routes: [defaultRoute(undefined)] }),
    "the default route leads through no one interface; give --iface",
  ],
  ["no address", { interfaces: ["bare0"] }, host(), 'interface "bare0" has no IPv4 address that can be used'],
  [
    "nothing of what is given",
    { interfaces: ["gone0", "a-name-that-is-too-long", "1.2.3.4"] },
    host(),
    'there is no interface "gone0"; there is no interface "a-name-that-is-too-long"; no interface has the address 1.2.3.4',
  ],
  [
    "a public IP of nobody",
    { publicIp: parseIp("203.0.113.1") },
    host(),
    "no interface has the address 203.0.113.1 (where --public-ip is translated by NAT, give --iface as well)",
  ],
])("chooseInterface() says what it looked for where there is %s", (_name, rule, where, message) => {
  expect(() => chosen(rule, where)).toThrow(`Cannot choose the external interface: ${message}`);
});

test("usableAddresses() puts global before link-local, permanent before dynamic, primary before secondary", () => {
  const own = [
    address(2, "127.0.0.2/8"),
    address(2, "169.254.0.1/16"),
    address(2, "10.0.0.1/24", 0),
    address(2, "10.0.0.2/24", IFA_F_PERMANENT | IFA_F_TEMPORARY),
    address(2, "10.0.0.3/24", IFA_F_PERMANENT | IFA_F_DEPRECATED),
    address(2, "10.0.0.4/24"),
    address(2, "10.0.0.5/24"),
    address(3, "10.0.0.6/24"),
  ];
  expect(usableAddresses(own, 2).map(formatIp)).toEqual([
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.2",
    "10.0.0.1",
    "169.254.0.1",
  ]);
});

test("findUnchanged() keeps a choice as long as the interface has its name and address, and follows its MTU", () => {
  const external = chooseInterface(noRule, host());
  // Also where the rule would choose another now.
  expect(findUnchanged(external, host({ routes: [defaultRoute(3)] }))).toBe(external);
  expect(findUnchanged(external, host({ mtu: 1400 }))).toEqual({ ...external, mtu: 1400 });
  expect(findUnchanged(external, host({ addresses: addresses.slice(2) }))).toBeUndefined();
  expect(findUnchanged({ ...external, name: "lan0" }, host())).toBeUndefined();
  expect(findUnchanged({ ...external, index: 9 }, host())).toBeUndefined();
});

test("chooseInterface() passes over an interface with the MTU 0, and names it", () => {
  expect(() => chosen({ interfaces: ["eth0", "eth1"] }, host({ mtu: 0 }))).toThrow(
    'Cannot choose the external interface: interface "eth0" has the MTU 0, which takes no packet; interface "eth1" has',
  );
});

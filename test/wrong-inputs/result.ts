/** What is wrong with the result of the plugins before, and results that a version cannot hold. */
import type { Json } from "../../src/base/decode.ts";
import type { WrongInput } from "./input.ts";

/** The configuration's version, the result, and the error after `could not parse prevResult`. */
const unreadable: readonly (readonly [string, Json, string])[] = [
  ["1.1.0", 5, 'Cannot read "prevResult": it must be an object, and is the number 5'],
  ["1.1.0", "x", 'Cannot read "prevResult": it must be an object, and is the string "x"'],
  ["1.1.0", [], 'Cannot read "prevResult": it must be an object, and is a list'],
  ["1.1.0", true, 'Cannot read "prevResult": it must be an object, and is the boolean true'],
  ["1.1.0", { cniVersion: 5 }, 'Cannot read "prevResult.cniVersion": it must be a string, and is the number 5'],
  ["1.1.0", { cniVersion: "9.9.9" }, 'unsupported CNI result version "9.9.9"'],
  ["0.4.0", { cniVersion: "1.2.0" }, 'unsupported CNI result version "1.2.0"'],
  ["0.3.0", { cniVersion: "newest" }, 'unsupported CNI result version "newest"'],
  ["1.1.0", { ips: 5 }, 'Cannot read "prevResult.ips": it must be a list, and is the number 5'],
  ["1.1.0", { ips: {} }, 'Cannot read "prevResult.ips": it must be a list, and is an object'],
  ["1.1.0", { ips: [5] }, 'Cannot read "prevResult.ips[0]": it must be an object, and is the number 5'],
  [
    "1.1.0",
    { ips: [{}] },
    'Cannot read "prevResult.ips[0].address": it must be an address with a prefix length, and is absent',
  ],
  [
    "1.1.0",
    { ips: [null] },
    'Cannot read "prevResult.ips[0].address": it must be an address with a prefix length, and is absent',
  ],
  [
    "1.1.0",
    { ips: [{ address: 5 }] },
    'Cannot read "prevResult.ips[0].address": it must be a string, and is the number 5',
  ],
  [
    "1.1.0",
    { ips: [{ address: "10.244.1.2" }] },
    'Cannot read "prevResult.ips[0].address": it must be an address with a prefix length, and is the string "10.244.1.2"',
  ],
  [
    "1.1.0",
    { ips: [{ address: "10.244.1.2/33" }] },
    'Cannot read "prevResult.ips[0].address": it must be an address with a prefix length, and is the string "10.244.1.2/33"',
  ],
  [
    "1.1.0",
    { ips: [{ address: "10.244.1.2/24", gateway: 5 }] },
    'Cannot read "prevResult.ips[0].gateway": it must be a string, and is the number 5',
  ],
  [
    "1.1.0",
    { ips: [{ address: "10.244.1.2/24", gateway: "x" }] },
    'Cannot read "prevResult.ips[0].gateway": it must be an IP address, and is the string "x"',
  ],
  [
    "1.1.0",
    { ips: [{ address: "10.244.1.2/24", gateway: "10.244.1.1/24" }] },
    'Cannot read "prevResult.ips[0].gateway": it must be an IP address, and is the string "10.244.1.1/24"',
  ],
  [
    "1.1.0",
    { ips: [{ address: "10.244.1.2/24", interface: "0" }] },
    'Cannot read "prevResult.ips[0].interface": it must be a whole number, and is the string "0"',
  ],
  [
    "1.1.0",
    { ips: [{ address: "10.244.1.2/24", interface: 1.5 }] },
    'Cannot read "prevResult.ips[0].interface": it must be a whole number, and is the number 1.5',
  ],
  ["1.1.0", { interfaces: {} }, 'Cannot read "prevResult.interfaces": it must be a list, and is an object'],
  ["1.1.0", { interfaces: [5] }, 'Cannot read "prevResult.interfaces[0]": it must be an object, and is the number 5'],
  [
    "1.1.0",
    { interfaces: [{ name: 5 }] },
    'Cannot read "prevResult.interfaces[0].name": it must be a string, and is the number 5',
  ],
  [
    "1.1.0",
    { interfaces: [{ name: "eth0", mac: 5 }] },
    'Cannot read "prevResult.interfaces[0].mac": it must be a string, and is the number 5',
  ],
  [
    "1.1.0",
    { interfaces: [{ name: "eth0", sandbox: [] }] },
    'Cannot read "prevResult.interfaces[0].sandbox": it must be a string, and is a list',
  ],
  [
    "1.1.0",
    { interfaces: [{ name: "eth0", mtu: "1450" }] },
    'Cannot read "prevResult.interfaces[0].mtu": it must be a whole number, and is the string "1450"',
  ],
  [
    "1.1.0",
    { interfaces: [{ name: "eth0", mtu: 4294967296 }] },
    'Cannot read "prevResult.interfaces[0].mtu": 4294967296 is not between 0 and 4294967295',
  ],
  [
    "1.1.0",
    { interfaces: [{ name: "eth0", socketPath: 5 }] },
    'Cannot read "prevResult.interfaces[0].socketPath": it must be a string, and is the number 5',
  ],
  [
    "1.1.0",
    { interfaces: [{ name: "eth0", pciID: 5 }] },
    'Cannot read "prevResult.interfaces[0].pciID": it must be a string, and is the number 5',
  ],
  ["1.1.0", { routes: {} }, 'Cannot read "prevResult.routes": it must be a list, and is an object'],
  [
    "1.1.0",
    { routes: [{}] },
    'Cannot read "prevResult.routes[0].dst": it must be an address with a prefix length, and is absent',
  ],
  [
    "1.1.0",
    { routes: [{ dst: "x" }] },
    'Cannot read "prevResult.routes[0].dst": it must be an address with a prefix length, and is the string "x"',
  ],
  [
    "1.1.0",
    { routes: [{ dst: "10.0.0.0/33" }] },
    'Cannot read "prevResult.routes[0].dst": it must be an address with a prefix length, and is the string "10.0.0.0/33"',
  ],
  [
    "1.1.0",
    { routes: [{ dst: "0.0.0.0/0", gw: "x" }] },
    'Cannot read "prevResult.routes[0].gw": it must be an IP address, and is the string "x"',
  ],
  [
    "1.1.0",
    { routes: [{ dst: "0.0.0.0/0", mtu: 4294967296 }] },
    'Cannot read "prevResult.routes[0].mtu": 4294967296 is not between 0 and 4294967295',
  ],
  [
    "1.1.0",
    { routes: [{ dst: "0.0.0.0/0", scope: 256 }] },
    'Cannot read "prevResult.routes[0].scope": 256 is not between 0 and 255',
  ],
  ["1.1.0", { dns: 5 }, 'Cannot read "prevResult.dns": it must be an object, and is the number 5'],
  [
    "1.1.0",
    { dns: { nameservers: "x" } },
    'Cannot read "prevResult.dns.nameservers": it must be a list, and is the string "x"',
  ],
  [
    "1.1.0",
    { dns: { nameservers: [5] } },
    'Cannot read "prevResult.dns.nameservers[0]": it must be a string, and is the number 5',
  ],
  ["1.1.0", { dns: { domain: 5 } }, 'Cannot read "prevResult.dns.domain": it must be a string, and is the number 5'],
  ["1.1.0", { dns: { search: {} } }, 'Cannot read "prevResult.dns.search": it must be a list, and is an object'],
  ["1.1.0", { dns: { options: [[]] } }, 'Cannot read "prevResult.dns.options[0]": it must be a string, and is a list'],
  ["0.2.0", { ip4: 5 }, 'Cannot read "prevResult.ip4": it must be an object, and is the number 5'],
  ["0.2.0", { ip4: {} }, 'Cannot read "prevResult.ip4.ip": it must be an address with a prefix length, and is absent'],
  [
    "0.2.0",
    { ip4: { ip: "10.244.1.2" } },
    'Cannot read "prevResult.ip4.ip": it must be an address with a prefix length, and is the string "10.244.1.2"',
  ],
  [
    "0.2.0",
    { ip4: { ip: "10.244.1.2/24", gateway: "x" } },
    'Cannot read "prevResult.ip4.gateway": it must be an IP address, and is the string "x"',
  ],
  [
    "0.2.0",
    { ip4: { ip: "10.244.1.2/24", routes: [{}] } },
    'Cannot read "prevResult.ip4.routes[0].dst": it must be an address with a prefix length, and is absent',
  ],
  ["0.1.0", { ip6: { ip: 5 } }, 'Cannot read "prevResult.ip6.ip": it must be a string, and is the number 5'],
  [
    "0.1.0",
    { ip6: { ip: "fd00::2/129" } },
    'Cannot read "prevResult.ip6.ip": it must be an address with a prefix length, and is the string "fd00::2/129"',
  ],
  [
    "0.2.0",
    { cniVersion: "1.0.0", ips: [{ address: "x" }] },
    'Cannot read "prevResult.ips[0].address": it must be an address with a prefix length, and is the string "x"',
  ],
  [
    "1.0.0",
    { cniVersion: "0.2.0", ip4: { ip: "x" } },
    'Cannot read "prevResult.ip4.ip": it must be an address with a prefix length, and is the string "x"',
  ],
];

/** The configuration's version, and a result that is read well. */
const unwritable: readonly (readonly [string, Json, string])[] = [
  ["0.1.0", {}, "999 cannot convert: no valid IP addresses"],
  ["0.2.0", {}, "999 cannot convert: no valid IP addresses"],
  ["0.2.0", { dns: { domain: "a" } }, "999 cannot convert: no valid IP addresses"],
  ["0.2.0", { cniVersion: "1.1.0", interfaces: [{ name: "eth0" }] }, "999 cannot convert: no valid IP addresses"],
  [
    "0.1.0",
    { cniVersion: "0.4.0", ips: [], routes: [{ dst: "0.0.0.0/0" }] },
    "999 cannot convert: no valid IP addresses",
  ],
  ["1.1.0", null, "999 must be called as chained plugin"],
];

/** Wrong results. */
export const wrongResults: readonly WrongInput[] = [
  ...unreadable.map(([cniVersion, prevResult, problem]) => ({
    plugin: "loopback",
    stdin: { cniVersion, name: "lo", type: "loopback", prevResult },
    error: `6 could not parse prevResult: ${problem}`,
  })),
  ...unwritable.map(([cniVersion, prevResult, error]) => ({
    plugin: "portmap",
    stdin: { cniVersion, name: "n", type: "portmap", prevResult },
    error,
  })),
];

/** What is wrong with the keys of host-local. */
import type { JsonObject } from "../../src/base/decode.ts";
import type { WrongInput } from "./input.ts";

const config = { cniVersion: "1.1.0", name: "n", type: "host-local", ipam: { subnet: "10.1.2.0/24" } };

/** In `ipam`, ranges. */
const ranges: readonly (readonly [JsonObject, string])[] = [
  [{}, "7 no IP ranges specified"],
  [{ ranges: [] }, "7 no IP ranges specified"],
  [{ ranges: null }, "7 no IP ranges specified"],
  [{ rangeStart: "10.1.2.5" }, "7 no IP ranges specified"],
  [{ subnet: 5 }, '7 Cannot read "ipam.subnet": it must be a string, and is the number 5'],
  [{ subnet: "" }, '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string ""'],
  [
    { subnet: "10.1.2.0" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "10.1.2.0"',
  ],
  [
    { subnet: "10.1.2.0/33" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "10.1.2.0/33"',
  ],
  [
    { subnet: "10.1.2.0/-1" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "10.1.2.0/-1"',
  ],
  [
    { subnet: "10.1.2.0/024" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "10.1.2.0/024"',
  ],
  [
    { subnet: "10.1.2/24" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "10.1.2/24"',
  ],
  [
    { subnet: "010.1.2.0/24" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "010.1.2.0/24"',
  ],
  [
    { subnet: "10.1.2.256/24" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "10.1.2.256/24"',
  ],
  [
    { subnet: "10.1.2.0/24/8" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "10.1.2.0/24/8"',
  ],
  [
    { subnet: " 10.1.2.0/24" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string " 10.1.2.0/24"',
  ],
  [
    { subnet: "fd00::/129" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "fd00::/129"',
  ],
  [
    { subnet: "fd00:::/64" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "fd00:::/64"',
  ],
  [
    { subnet: "fd00::%eth0/64" },
    '7 Cannot read "ipam.subnet": it must be a subnet like 10.244.1.0/24, and is the string "fd00::%eth0/64"',
  ],
  [
    { subnet: "10.1.2.3/24" },
    "7 invalid range set 0: Network has host bits set. For a subnet mask of length 24 the network address is 10.1.2.0",
  ],
  [
    { subnet: "fd00::1/64" },
    "7 invalid range set 0: Network has host bits set. For a subnet mask of length 64 the network address is fd00::",
  ],
  [{ subnet: "10.1.2.0/31" }, "7 invalid range set 0: Network 10.1.2.0/31 too small to allocate from"],
  [{ subnet: "10.1.2.0/32" }, "7 invalid range set 0: Network 10.1.2.0/32 too small to allocate from"],
  [{ subnet: "fd00::/127" }, "7 invalid range set 0: Network fd00::/127 too small to allocate from"],
  [{ subnet: "fd00::/128" }, "7 invalid range set 0: Network fd00::/128 too small to allocate from"],
  [
    { subnet: "10.1.2.0/24", rangeStart: 5 },
    '7 Cannot read "ipam.rangeStart": it must be a string, and is the number 5',
  ],
  [
    { subnet: "10.1.2.0/24", rangeStart: "x" },
    '7 Cannot read "ipam.rangeStart": it must be an IP address, and is the string "x"',
  ],
  [
    { subnet: "10.1.2.0/24", rangeStart: "10.1.2.5/24" },
    '7 Cannot read "ipam.rangeStart": it must be an IP address, and is the string "10.1.2.5/24"',
  ],
  [
    { subnet: "10.1.2.0/24", rangeStart: "10.1.3.5" },
    "7 invalid range set 0: RangeStart 10.1.3.5 not in network 10.1.2.0/24",
  ],
  [
    { subnet: "10.1.2.0/24", rangeStart: "fd00::1" },
    "7 invalid range set 0: RangeStart fd00::1 not in network 10.1.2.0/24",
  ],
  [
    { subnet: "10.1.2.0/24", rangeStart: "10.1.2.9", rangeEnd: "10.1.2.8" },
    "7 invalid range set 0: RangeStart 10.1.2.9 not in network 10.1.2.0/24",
  ],
  [
    { subnet: "10.1.2.0/24", rangeEnd: true },
    '7 Cannot read "ipam.rangeEnd": it must be a string, and is the boolean true',
  ],
  [
    { subnet: "10.1.2.0/24", rangeEnd: "10.1.2" },
    '7 Cannot read "ipam.rangeEnd": it must be an IP address, and is the string "10.1.2"',
  ],
  [
    { subnet: "10.1.2.0/24", rangeEnd: "10.1.3.5" },
    "7 invalid range set 0: RangeEnd 10.1.3.5 not in network 10.1.2.0/24",
  ],
  [
    { subnet: "10.1.2.0/24", rangeEnd: "10.1.1.255" },
    "7 invalid range set 0: RangeEnd 10.1.1.255 not in network 10.1.2.0/24",
  ],
  [
    { subnet: "10.1.2.0/24", rangeEnd: "fd00::1" },
    "7 invalid range set 0: RangeEnd fd00::1 not in network 10.1.2.0/24",
  ],
  [
    { subnet: "10.1.2.0/24", rangeEnd: "10.1.2.0" },
    "7 invalid range set 0: RangeEnd 10.1.2.0 not in network 10.1.2.0/24",
  ],
  [{ subnet: "10.1.2.0/24", gateway: {} }, '7 Cannot read "ipam.gateway": it must be a string, and is an object'],
  [
    { subnet: "10.1.2.0/24", gateway: "x" },
    '7 Cannot read "ipam.gateway": it must be an IP address, and is the string "x"',
  ],
  [
    { subnet: "10.1.2.0/24", gateway: "10.1.2.1/24" },
    '7 Cannot read "ipam.gateway": it must be an IP address, and is the string "10.1.2.1/24"',
  ],
  [{ ranges: 5 }, '7 Cannot read "ipam.ranges": it must be a list, and is the number 5'],
  [{ ranges: {} }, '7 Cannot read "ipam.ranges": it must be a list, and is an object'],
  [{ ranges: [5] }, '7 Cannot read "ipam.ranges[0]": it must be a list, and is the number 5'],
  [{ ranges: [{ subnet: "10.1.2.0/24" }] }, '7 Cannot read "ipam.ranges[0]": it must be a list, and is an object'],
  [{ ranges: [[]] }, "7 invalid range set 0: empty range set"],
  [{ ranges: [[5]] }, '7 Cannot read "ipam.ranges[0][0]": it must be an object, and is the number 5'],
  [
    { ranges: [[{}]] },
    '7 Cannot read "ipam.ranges[0][0].subnet": it must be a subnet like 10.244.1.0/24, and is absent',
  ],
  [
    { ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: 7 }]] },
    '7 Cannot read "ipam.ranges[1][0].subnet": it must be a string, and is the number 7',
  ],
  [
    { ranges: [[{ subnet: "10.1.2.0/24" }, { subnet: "10.1.2.0/24" }]] },
    "7 invalid range set 0: subnets 10.1.2.1-10.1.2.254 and 10.1.2.1-10.1.2.254 overlap",
  ],
  [{ ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "10.1.2.0/24" }]] }, "7 range set 0 overlaps with 1"],
  [{ ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "10.1.0.0/16" }]] }, "7 range set 0 overlaps with 1"],
  [
    { ranges: [[{ subnet: "10.1.0.0/16" }, { subnet: "10.1.2.0/24" }]] },
    "7 invalid range set 0: subnets 10.1.0.1-10.1.255.254 and 10.1.2.1-10.1.2.254 overlap",
  ],
  [{ ranges: [[{ subnet: "10.1.2.0/24" }, { subnet: "fd00::/64" }]] }, "7 invalid range set 0: mixed address families"],
  [
    {
      ranges: [
        [
          { subnet: "10.1.2.0/24", rangeEnd: "10.1.2.9" },
          { subnet: "10.1.2.0/24", rangeStart: "10.1.2.9" },
        ],
      ],
    },
    "7 invalid range set 0: subnets 10.1.2.1-10.1.2.9 and 10.1.2.9-10.1.2.254 overlap",
  ],
  [{ subnet: "10.1.2.0/24", ranges: [[{ subnet: "10.1.2.0/24" }]] }, "7 range set 0 overlaps with 1"],
];

/** In `ipam` beside the ranges. */
const others: readonly (readonly [JsonObject, string])[] = [
  [{ routes: 5 }, '7 Cannot read "ipam.routes": it must be a list, and is the number 5'],
  [{ routes: "x" }, '7 Cannot read "ipam.routes": it must be a list, and is the string "x"'],
  [{ routes: [5] }, '7 Cannot read "ipam.routes[0]": it must be an object, and is the number 5'],
  [{ routes: [{}] }, '7 Cannot read "ipam.routes[0].dst": it must be an address with a prefix length, and is absent'],
  [{ routes: [{ dst: 5 }] }, '7 Cannot read "ipam.routes[0].dst": it must be a string, and is the number 5'],
  [
    { routes: [{ dst: "0.0.0.0" }] },
    '7 Cannot read "ipam.routes[0].dst": it must be an address with a prefix length, and is the string "0.0.0.0"',
  ],
  [
    { routes: [{ dst: "default" }] },
    '7 Cannot read "ipam.routes[0].dst": it must be an address with a prefix length, and is the string "default"',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", gw: 5 }] },
    '7 Cannot read "ipam.routes[0].gw": it must be a string, and is the number 5',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", gw: "x" }] },
    '7 Cannot read "ipam.routes[0].gw": it must be an IP address, and is the string "x"',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", mtu: 4294967296 }] },
    '7 Cannot read "ipam.routes[0].mtu": 4294967296 is not between 0 and 4294967295',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", mtu: "1400" }] },
    '7 Cannot read "ipam.routes[0].mtu": it must be a whole number, and is the string "1400"',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", mtu: 1.5 }] },
    '7 Cannot read "ipam.routes[0].mtu": it must be a whole number, and is the number 1.5',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", advmss: 4294967296 }] },
    '7 Cannot read "ipam.routes[0].advmss": 4294967296 is not between 0 and 4294967295',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", priority: 4294967296 }] },
    '7 Cannot read "ipam.routes[0].priority": 4294967296 is not between 0 and 4294967295',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", table: "main" }] },
    '7 Cannot read "ipam.routes[0].table": it must be a whole number, and is the string "main"',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", table: 4294967296 }] },
    '7 Cannot read "ipam.routes[0].table": 4294967296 is not between 0 and 4294967295',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", scope: 256 }] },
    '7 Cannot read "ipam.routes[0].scope": 256 is not between 0 and 255',
  ],
  [
    { routes: [{ dst: "0.0.0.0/0", scope: "link" }] },
    '7 Cannot read "ipam.routes[0].scope": it must be a whole number, and is the string "link"',
  ],
  [{ dataDir: 5 }, '7 Cannot read "ipam.dataDir": it must be a string, and is the number 5'],
  [{ dataDir: ["/x"] }, '7 Cannot read "ipam.dataDir": it must be a string, and is a list'],
  [{ dataDir: "/proc/nonexistent" }, "999 Cannot make directory /proc/nonexistent: no such file or directory (ENOENT)"],
  [{ dataDir: "/dev/null" }, "999 Cannot make directory /dev/null/n: not a directory (ENOTDIR)"],
  [{ dataDir: "/proc/a\u0000b" }, '999 Cannot use path "/proc/a\\u0000b/n": it holds a NUL character'],
  [{ resolvConf: 5 }, '7 Cannot read "ipam.resolvConf": it must be a string, and is the number 5'],
  [{ resolvConf: "/nonexistent" }, "999 Cannot open /nonexistent: no such file or directory (ENOENT)"],
  [{ resolvConf: "/dev/zero" }, "999 Cannot read /dev/zero: file too large (EFBIG)"],
  [{ resolvConf: "/proc" }, "999 Cannot read /proc: is a directory (EISDIR)"],
  [{ resolvConf: "a\u0000b" }, '999 Cannot use path "a\\u0000b": it holds a NUL character'],
];

/** Beside `ipam`. */
const beside: readonly (readonly [JsonObject, string])[] = [
  [{ ipam: null }, "7 IPAM config missing 'ipam' key"],
  [{ ipam: 5 }, '7 Cannot read "ipam": it must be an object, and is the number 5'],
  [{ ipam: [] }, '7 Cannot read "ipam": it must be an object, and is a list'],
  [
    { cniVersion: "0.2.0", ipam: { ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "10.1.3.0/24" }]] } },
    "7 CNI version 0.2.0 does not support more than 1 address per family",
  ],
  [
    { cniVersion: "0.1.0", ipam: { ranges: [[{ subnet: "fd00::/64" }], [{ subnet: "fd01::/64" }]] } },
    "7 CNI version 0.1.0 does not support more than 1 address per family",
  ],
  [{ runtimeConfig: 5 }, '7 Cannot read "runtimeConfig": it must be an object, and is the number 5'],
  [
    { runtimeConfig: { ipRanges: 5 } },
    '7 Cannot read "runtimeConfig.ipRanges": it must be a list, and is the number 5',
  ],
  [
    { runtimeConfig: { ipRanges: [{ subnet: "10.1.2.0/24" }] } },
    '7 Cannot read "runtimeConfig.ipRanges[0]": it must be a list, and is an object',
  ],
  [{ runtimeConfig: { ipRanges: [[]] } }, "7 invalid range set 0: empty range set"],
  [{ runtimeConfig: { ipRanges: [[{ subnet: "10.1.2.0/24" }]] } }, "7 range set 0 overlaps with 1"],
  [
    { runtimeConfig: { ipRanges: [[{ subnet: 7 }]] } },
    '7 Cannot read "runtimeConfig.ipRanges[0][0].subnet": it must be a string, and is the number 7',
  ],
  [{ runtimeConfig: { ips: 5 } }, '7 Cannot read "runtimeConfig.ips": it must be a list, and is the number 5'],
  [{ runtimeConfig: { ips: [5] } }, '7 Cannot read "runtimeConfig.ips[0]": it must be a string, and is the number 5'],
  [{ runtimeConfig: { ips: [""] } }, "7 invalid IP address "],
  [{ runtimeConfig: { ips: ["10.1.2.3/33"] } }, "7 invalid IP address 10.1.2.3/33"],
  [{ runtimeConfig: { ips: ["10.1.2.3."] } }, "7 invalid IP address 10.1.2.3."],
  [{ args: 5 }, '7 Cannot read "args": it must be an object, and is the number 5'],
  [{ args: { cni: [] } }, '7 Cannot read "args.cni": it must be an object, and is a list'],
  [
    { args: { cni: { ips: "10.1.2.3" } } },
    '7 Cannot read "args.cni.ips": it must be a list, and is the string "10.1.2.3"',
  ],
  [{ args: { cni: { ips: [null] } } }, "7 invalid IP address "],
  [{ args: { cni: { ips: ["bad"] } } }, "7 invalid IP address bad"],
];

/** Wrong configurations of host-local. */
export const wrongHostLocals: readonly WrongInput[] = [
  ...ranges.map(([ipam, error]) => ({ plugin: "host-local", stdin: { ...config, ipam }, error })),
  ...others.map(([members, error]) => ({
    plugin: "host-local",
    stdin: { ...config, ipam: { ...config.ipam, ...members } },
    error,
  })),
  ...beside.map(([members, error]) => ({ plugin: "host-local", stdin: { ...config, ...members }, error })),
];

import { expect, test } from "bun:test";

import { formatCidr } from "../../../../src/addr/cidr.ts";
import { formatIp } from "../../../../src/addr/ip.ts";
import { Decoder, type JsonObject } from "../../../../src/base/decode.ts";
import { errorText } from "../../../../src/base/error.ts";
import { CniArgs } from "../../../../src/cni/args.ts";
import { decodeConfig } from "../../../../src/cni/config.ts";
import { toCniError } from "../../../../src/cni/error.ts";
import type { CniRequest } from "../../../../src/cni/plugin.ts";
import {
  decodeDirectory,
  decodeForCheck,
  decodeHostLocalConfig,
  decodeRequestedAddresses,
} from "../../../../src/plugins/host-local/config.ts";
import { formatRangeSet } from "../../../../src/plugins/host-local/range.ts";

function requestOf(members: JsonObject, args = ""): CniRequest {
  return {
    command: "ADD",
    containerId: "c1",
    netns: "/nonexistent",
    interfaceName: "eth0",
    args: new CniArgs(args),
    path: [],
    environment: {},
    config: decodeConfig(new Decoder({ cniVersion: "0.3.1", name: "mynet", type: "ipvlan", ...members })),
    builtIn: new Map(),
    warn: () => undefined,
  };
}

/** The range sets as the reference writes them, or `code message`. */
function ranges(members: JsonObject, decode = decodeHostLocalConfig): unknown {
  return orProblem(() => decode(requestOf(members)).rangeSets.map(formatRangeSet));
}

/** The addresses asked for, or `code message`. */
function asked(members: JsonObject, args = ""): unknown {
  return orProblem(() => decodeRequestedAddresses(requestOf(members, args)).map(formatIp));
}

function orProblem(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    const told = toCniError(error);
    return `${told.code} ${errorText(told)}`;
  }
}

const old = { subnet: "10.1.2.0/24", rangeStart: "10.1.2.9", rangeEnd: "10.1.2.20", gateway: "10.1.2.30" };

test("decodeHostLocalConfig() reads the single range of old configurations", () => {
  const config = decodeHostLocalConfig(requestOf({ ipam: old }));
  expect(config).toMatchObject({ directory: "/var/lib/cni/networks/mynet", routes: [], resolvConf: "" });
  expect(config.rangeSets.map(formatRangeSet)).toEqual(["10.1.2.9-10.1.2.20"]);
  expect(config.rangeSets[0]?.ranges.map(({ gateway }) => formatIp(gateway))).toEqual(["10.1.2.30"]);
});

test("decodeHostLocalConfig() reads sets of several ranges, and routes, directory and resolv.conf", () => {
  const config = decodeHostLocalConfig(
    requestOf({
      ipam: {
        ranges: [[{ subnet: "10.1.2.0/24" }, { subnet: "10.1.4.0/24" }], [{ subnet: "fd00:1::/64" }]],
        routes: [{ dst: "0.0.0.0/0" }, { dst: "10.9.8.7/16", gw: "10.1.2.9" }],
        dataDir: "/tmp/data",
        resolvConf: "/etc/resolv.conf",
      },
    }),
  );
  expect(config.rangeSets.map(formatRangeSet)).toEqual([
    "10.1.2.1-10.1.2.254,10.1.4.1-10.1.4.254",
    "fd00:1::1-fd00:1::ffff:ffff:ffff:ffff",
  ]);
  expect(config.routes.map(({ destination }) => formatCidr(destination))).toEqual(["0.0.0.0/0", "10.9.8.7/16"]);
  expect(config).toMatchObject({ directory: "/tmp/data/mynet", resolvConf: "/etc/resolv.conf" });
});

test("decodeHostLocalConfig() puts the runtime's ranges first, then the old one, then the list", () => {
  expect(
    ranges({
      ipam: { ...old, ranges: [[{ subnet: "10.1.4.0/24" }]] },
      runtimeConfig: { ipRanges: [[{ subnet: "11.1.2.0/24" }], [{ subnet: "11.1.3.0/24" }]] },
    }),
  ).toEqual(["11.1.2.1-11.1.2.254", "11.1.3.1-11.1.3.254", "10.1.2.9-10.1.2.20", "10.1.4.1-10.1.4.254"]);
});

test("decodeHostLocalConfig() matches keys in any case, and takes null and empty texts for absent", () => {
  const ipam = { SUBNET: "10.1.2.0/24", rangestart: "10.1.2.5", rangeEnd: null, gateway: "", routes: null };
  expect(ranges({ ipam })).toEqual(["10.1.2.5-10.1.2.254"]);
});

test("decodeHostLocalConfig() refuses what gives no range", () => {
  for (const members of [{}, { ipam: null }]) expect(ranges(members)).toBe("7 IPAM config missing 'ipam' key");
  for (const ipam of [{}, { ranges: [] }, { rangeStart: "10.1.2.9" }]) {
    expect(ranges({ ipam })).toBe("7 no IP ranges specified");
  }
});

test("decodeDirectory() needs nothing but the place, whatever the ranges are", () => {
  const config = decodeConfig(new Decoder({ name: "n", ipam: { dataDir: "/d", ranges: 5, subnet: "10.0.0.0/32" } }));
  expect(decodeDirectory({ config })).toBe("/d/n");
  const without = decodeConfig(new Decoder({ name: "n", ipam: {} }));
  expect(decodeDirectory({ config: without })).toBe("/var/lib/cni/networks/n");
});

test("decodeForCheck() does without ranges, and checks those that are there", () => {
  expect(ranges({ ipam: {} }, decodeForCheck)).toEqual([]);
  expect(ranges({}, decodeForCheck)).toBe("7 IPAM config missing 'ipam' key");
  expect(ranges({ ipam: { subnet: "10.0.0.0/32" } }, decodeForCheck)).toStartWith("7 invalid range set 0: ");
});

const v4 = [{ subnet: "10.1.2.0/24" }];
const otherV4 = [{ subnet: "10.1.3.0/24" }];
const v6 = [{ subnet: "fd00:1::/64" }];
const otherV6 = [{ subnet: "fd00:2::/64" }];

for (const cniVersion of ["0.1.0", "0.2.0"]) {
  test(`decodeHostLocalConfig() and decodeForCheck() give one address of each family in version ${cniVersion}`, () => {
    const problem = `7 CNI version ${cniVersion} does not support more than 1 address per family`;
    for (const decode of [decodeHostLocalConfig, decodeForCheck]) {
      expect(ranges({ cniVersion, ipam: { ranges: [v4, v6] } }, decode)).toHaveLength(2);
      for (const several of [
        [v4, otherV4],
        [v6, otherV6],
        [v4, v6, otherV4],
        [v4, v6, otherV6],
      ]) {
        expect(ranges({ cniVersion, ipam: { ranges: several } }, decode)).toBe(problem);
        expect(ranges({ cniVersion: "0.3.0", ipam: { ranges: several } }, decode)).toHaveLength(several.length);
      }
    }
  });
}

test("decodeHostLocalConfig() names the place of what is wrong", () => {
  const wrong: readonly (readonly [JsonObject, string])[] = [
    [{ ipam: 5 }, '"ipam"'],
    [{ ipam: { subnet: "10.0.0.0" } }, '"ipam.subnet"'],
    [{ ipam: { ...old, rangeStart: "10.1.2" } }, '"ipam.rangeStart"'],
    [{ ipam: { ranges: [[{}]] } }, '"ipam.ranges[0][0].subnet"'],
    [{ ipam: { ranges: [{ subnet: "10.0.0.0/24" }] } }, '"ipam.ranges[0]"'],
    [{ ipam: { ...old, routes: [{ dst: "x" }] } }, '"ipam.routes[0].dst"'],
    [{ ipam: { ...old, dataDir: 5 } }, '"ipam.dataDir"'],
    [{ ipam: old, runtimeConfig: { ipRanges: [[{ subnet: 7 }]] } }, '"runtimeConfig.ipRanges[0][0].subnet"'],
  ];
  for (const [members, place] of wrong) expect(ranges(members)).toStartWith(`7 Cannot read ${place}: `);
});

test("decodeRequestedAddresses() adds up all three sources, each address once", () => {
  const members = {
    args: { cni: { ips: ["10.1.2.11", "fd00::b/64"] } },
    runtimeConfig: { ips: ["10.1.2.12/24", "10.1.2.11/16"] },
  };
  expect(asked(members, "IP=10.1.2.10")).toEqual(["10.1.2.10", "10.1.2.11", "fd00::b", "10.1.2.12"]);
  expect(asked(members, "IP=10.1.2.12/24;IgnoreUnknown=1;K8S_POD_NAME=x")).toEqual([
    "10.1.2.12",
    "10.1.2.11",
    "fd00::b",
  ]);
  expect(asked({})).toEqual([]);
  expect(asked({ args: { cni: null }, runtimeConfig: {} }, "IP=")).toEqual([]);
});

test("decodeRequestedAddresses() refuses what is no address, wherever it is", () => {
  expect(asked({}, "IP=bad")).toBe('4 ARGS: error parsing value of pair "IP=bad": invalid IP address bad');
  expect(asked({}, "FOO=1")).toBe('4 ARGS: unknown args ["FOO=1"]');
  expect(asked({ args: { cni: { ips: ["bad"] } } })).toBe("7 invalid IP address bad");
  expect(asked({ args: { cni: { ips: [""] } } })).toBe("7 invalid IP address ");
  expect(asked({ runtimeConfig: { ips: ["10.1.2.3/33"] } })).toBe("7 invalid IP address 10.1.2.3/33");
  expect(asked({ runtimeConfig: { ips: [5] } })).toStartWith('7 Cannot read "runtimeConfig.ips[0]": ');
});

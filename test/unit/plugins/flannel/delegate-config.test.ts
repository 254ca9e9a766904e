import { expect, test } from "bun:test";

import { Decoder, type JsonObject } from "../../../../src/base/decode.ts";
import { errorText } from "../../../../src/base/error.ts";
import { decodeConfig } from "../../../../src/cni/config.ts";
import { toCniError } from "../../../../src/cni/error.ts";
import { decodeFlannelConfig } from "../../../../src/plugins/flannel/config.ts";
import { buildDelegateConfig } from "../../../../src/plugins/flannel/delegate-config.ts";
import { parseSubnetEnv } from "../../../../src/plugins/flannel/subnet-env.ts";

const common = "FLANNEL_MTU=1472\nFLANNEL_IPMASQ=true\n";
const ipv4 = `FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.17.1/24\n${common}`;
const ipv6 = `FLANNEL_IPV6_NETWORK=fc00::/48\nFLANNEL_IPV6_SUBNET=fc00::1/64\n${common}`;
const dual = `${ipv6}${ipv4}`;
const severalNetworks = `FLANNEL_NETWORK=10.1.0.0/16,192.168.0.0/16\nFLANNEL_SUBNET=10.1.17.1/24\n${common}`;

/** The delegate's configuration, or the error as `code message`. */
function build(members: JsonObject, env: string | undefined = ipv4): unknown {
  try {
    const config = decodeFlannelConfig(decodeConfig(new Decoder({ name: "cni-flannel", type: "flannel", ...members })));
    return buildDelegateConfig(config, parseSubnetEnv(env, "subnet.env"));
  } catch (error) {
    const told = toCniError(error);
    return `${told.code} ${errorText(told)}`;
  }
}

const bridge = { name: "cni-flannel", type: "bridge", ipMasq: false, mtu: 1472, isGateway: true };
const range4 = [{ subnet: "10.1.17.0/24" }];
const range6 = [{ subnet: "fc00::/64" }];
const route4 = { dst: "10.1.0.0/16" };
const route6 = { dst: "fc00::/48" };

for (const [name, env, ranges, routes] of [
  ["IPv4", ipv4, [range4], [route4]],
  ["two IPv4 networks", severalNetworks, [range4], [route4, { dst: "192.168.0.0/16" }]],
  ["IPv6", ipv6, [range6], [route6]],
  ["both families", dual, [range4, range6], [route4, route6]],
] as const) {
  test(`buildDelegateConfig() makes a bridge with host-local for ${name}`, () => {
    expect(build({}, env)).toEqual({ ...bridge, ipam: { type: "host-local", ranges, routes } });
  });

  test(`buildDelegateConfig() keeps the ipam type, unknown keys and routes for ${name}`, () => {
    const given = [{ dst: "10.96.0.0/12" }, { dst: "192.168.244.0/24", gw: "10.1.17.20" }];
    const ipam = { type: "my-ipam", "unknown-param": "kept", ranges: [[{ subnet: "10.9.9.0/24" }]], routes: given };
    expect(build({ ipam }, env)).toEqual({
      ...bridge,
      ipam: { type: "my-ipam", "unknown-param": "kept", ranges, routes: [...given, ...routes] },
    });
  });
}

test("buildDelegateConfig() writes routes as a configuration has them, with all their numbers", () => {
  const routes = [{ DST: "10.96.0.0/12", gw: "", mtu: 1400, table: 0, priority: 5 }];
  expect(build({ ipam: { routes } })).toMatchObject({
    ipam: { routes: [{ dst: "10.96.0.0/12", mtu: 1400, table: 0, priority: 5 }, route4] },
  });
});

test("buildDelegateConfig() keeps what the delegate says itself", () => {
  const delegate = { bridge: "br0", ipMasq: true, mtu: 1400, isGateway: false, hairpinMode: true, extra: [1] };
  expect(build({ delegate })).toMatchObject({ ...delegate, type: "bridge", name: "cni-flannel" });
});

test("buildDelegateConfig() knows the delegate's keys in any case, as the delegate does", () => {
  const delegate = { ipmasq: true, MTU: 1400, isgateway: false };
  const built = build({ delegate });
  expect(built).toMatchObject(delegate);
  expect(built).not.toContainAnyKeys(["ipMasq", "mtu", "isGateway"]);
});

test("buildDelegateConfig() makes no gateway of another type of delegate", () => {
  const built = build({ delegate: { type: "ptp" } });
  expect(built).toMatchObject({ type: "ptp", mtu: 1472, ipMasq: false });
  expect(built).not.toContainAnyKeys(["isGateway"]);
});

test("buildDelegateConfig() masquerades when the daemon does not", () => {
  expect(build({}, ipv4.replace("FLANNEL_IPMASQ=true", "FLANNEL_IPMASQ=false"))).toMatchObject({ ipMasq: true });
});

test("buildDelegateConfig() hands on the version, the runtime's values and the wish for programs", () => {
  const runtimeConfig = { portMappings: [{ hostPort: 80, containerPort: 80 }] };
  const delegate = { cniVersion: "0.1.0", runtimeConfig: { old: true } };
  expect(build({ cniVersion: "0.3.1", runtimeConfig, delegate, inProcess: false })).toEqual({
    ...bridge,
    cniVersion: "0.3.1",
    runtimeConfig,
    inProcess: false,
    ipam: { type: "host-local", ranges: [range4], routes: [route4] },
  });
  expect(build({})).not.toContainAnyKeys(["cniVersion", "runtimeConfig", "inProcess"]);
});

test("buildDelegateConfig() makes the rest when there is no subnet.env", () => {
  const config = decodeFlannelConfig(decodeConfig(new Decoder({ name: "cni-flannel", ipam: { dataDir: "/d" } })));
  expect(buildDelegateConfig(config, undefined)).toEqual({
    name: "cni-flannel",
    type: "bridge",
    isGateway: true,
    ipam: { type: "host-local", dataDir: "/d", ranges: [], routes: [] },
  });
});

test("buildDelegateConfig() refuses a delegate that takes what is flannel's", () => {
  expect(build({ delegate: { type: 5 } })).toBe("7 'delegate' dictionary, if present, must have (string) 'type' field");
  expect(build({ delegate: { name: "x" } })).toBe(
    "7 'delegate' dictionary must not have 'name' field, it'll be set by flannel",
  );
  expect(build({ delegate: { ipam: {} } })).toBe(
    "7 'delegate' dictionary must not have 'ipam' field, it'll be set by flannel",
  );
});

test("buildDelegateConfig() says which route is wrong", () => {
  const start =
    "7 failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes: Cannot read";
  expect(build({ ipam: { routes: [route4, { dst: "x" }] } })).toStartWith(`${start} "routes[1].dst": `);
  expect(build({ ipam: { routes: {} } })).toStartWith(`${start} "routes": `);
});

test("decodeFlannelConfig() has upstream's places by default", () => {
  const decoded = decodeFlannelConfig(decodeConfig(new Decoder({ name: "n", subnetFile: "", dataDir: null })));
  expect(decoded).toMatchObject({ subnetFile: "/run/flannel/subnet.env", dataDir: "/var/lib/cni/flannel" });
  const given = { name: "n", subnetFile: "/a/subnet.env", dataDir: "/b" };
  expect(decodeFlannelConfig(decodeConfig(new Decoder(given)))).toMatchObject({
    subnetFile: "/a/subnet.env",
    dataDir: "/b",
  });
});

test("decodeFlannelConfig() names the key of the wrong type", () => {
  for (const key of ["delegate", "ipam", "runtimeConfig", "subnetFile", "dataDir", "inProcess"]) {
    expect(build({ [key]: 5 })).toStartWith(
      `7 failed to load flannel netconf file: failed to load netconf: Cannot read "${key}": `,
    );
  }
});

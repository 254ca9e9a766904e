import { expect, test } from "bun:test";

import { formatCidr } from "../../../../src/addr/cidr.ts";
import { parseSubnetEnv } from "../../../../src/plugins/flannel/subnet-env.ts";

const ipv4 = ["FLANNEL_NETWORK=10.244.0.0/16", "FLANNEL_SUBNET=10.244.1.1/24"];
const ipv6 = ["FLANNEL_IPV6_NETWORK=fd00:10:244::/56", "FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64"];
const common = ["FLANNEL_MTU=1450", "FLANNEL_IPMASQ=true"];

/** What the lines say, with networks and subnets as texts; or the error's message. */
function read(...lines: readonly string[]): unknown {
  try {
    const env = parseSubnetEnv(`${lines.join("\n")}\n`, "/run/flannel/subnet.env");
    return { ...env, networks: env.networks.map(formatCidr), subnets: env.subnets.map(formatCidr) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.message;
  }
}

test("parseSubnetEnv() reads a file of each family and of both", () => {
  expect(read(...ipv4, ...common)).toEqual({
    networks: ["10.244.0.0/16"],
    subnets: ["10.244.1.0/24"],
    mtu: 1450,
    ipMasq: true,
  });
  expect(read(...ipv6, ...common)).toMatchObject({
    networks: ["fd00:10:244::/56"],
    subnets: ["fd00:10:244:1::/64"],
  });
  expect(read(...common, ...ipv6, ...ipv4)).toMatchObject({
    networks: ["10.244.0.0/16", "fd00:10:244::/56"],
    subnets: ["10.244.1.0/24", "fd00:10:244:1::/64"],
  });
});

test("parseSubnetEnv() reads lists of networks, each network once", () => {
  const line = "FLANNEL_NETWORK=10.244.0.0/16,192.168.0.0/16,10.244.7.0/16";
  expect(read(line, "FLANNEL_SUBNET=10.244.1.1/24", ...common)).toMatchObject({
    networks: ["10.244.0.0/16", "192.168.0.0/16"],
  });
});

test("parseSubnetEnv() takes nothing but the word true for masquerade", () => {
  for (const [word, ipMasq] of [
    ["true", true],
    ["false", false],
    ["TRUE", false],
    ["1", false],
    ["", false],
    [" true", false],
  ] as const) {
    expect(read(...ipv4, "FLANNEL_MTU=1450", `FLANNEL_IPMASQ=${word}`)).toMatchObject({ ipMasq });
  }
});

test("parseSubnetEnv() passes over lines that it does not know, and takes the last of several", () => {
  const others = ["# FLANNEL_MTU=1", "OTHER", "OTHER=1=2", "", " FLANNEL_MTU=1", "FLANNEL_MTU2=1"];
  expect(read(...others, "FLANNEL_MTU=9000", ...ipv4, ...common, ...others)).toMatchObject({ mtu: 1450 });
  expect(read(...ipv4.map((line) => `${line}\r`), ...common.map((line) => `${line}\r`))).toMatchObject({
    ipMasq: true,
  });
});

test("parseSubnetEnv() names all that is missing", () => {
  const start = "/run/flannel/subnet.env is missing";
  expect(read("")).toBe(
    `${start} FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ`,
  );
  expect(read(...ipv4)).toBe(`${start} FLANNEL_MTU, FLANNEL_IPMASQ`);
  expect(read(...common, "FLANNEL_IPV6_NETWORK=fd00::/48")).toBe(`${start} FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET`);
  expect(read(...ipv4, "FLANNEL_IPMASQ=false")).toBe(`${start} FLANNEL_MTU`);
});

test("parseSubnetEnv() tells a known key without a value, which crashes upstream", () => {
  for (const key of ["FLANNEL_NETWORK", "FLANNEL_IPV6_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ"]) {
    expect(read(...ipv4, ...common, key)).toBe(`line "${key}" has no "="`);
  }
});

test("parseSubnetEnv() tells values that are wrong", () => {
  expect(read("FLANNEL_NETWORK=", ...ipv4.slice(1), ...common)).toBe("invalid CIDR address: ");
  expect(read("FLANNEL_NETWORK=10.244.0.0/16,", ...ipv4.slice(1), ...common)).toBe("invalid CIDR address: ");
  expect(read(...ipv4, "FLANNEL_IPV6_SUBNET=fd00::", ...common)).toBe("invalid CIDR address: fd00::");
  for (const mtu of ["", "-1", "1450 ", "0x5aa", "1e3", "99999999999"]) {
    expect(read(...ipv4, `FLANNEL_MTU=${mtu}`, "FLANNEL_IPMASQ=true")).toBe(`FLANNEL_MTU is "${mtu}", wanted a number`);
  }
});

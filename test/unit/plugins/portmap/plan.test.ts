import { expect, test } from "bun:test";

import { formatIp, parseIp } from "../../../../src/addr/ip.ts";
import { Decoder, type JsonObject } from "../../../../src/base/decode.ts";
import { decodeResult } from "../../../../src/cni/result.ts";
import { decodeHostPort, hostPortSets, hostPortText, portEntry } from "../../../../src/firewall/host-ports.ts";
import { ipProtocols } from "../../../../src/firewall/ip-protocols.ts";
import type { PortForward } from "../../../../src/firewall/host-ports.ts";
import type { PortMapping, PortSettings } from "../../../../src/plugins/portmap/config.ts";
import { findHostDevice, planForwards, podAddresses } from "../../../../src/plugins/portmap/plan.ts";

const usual: PortSettings = { snat: true, masqueradeAll: false, markBit: 13 };
const dual = {
  addresses: { 4: parseIp("10.244.1.2"), 6: parseIp("fd00::2") },
  devices: { 4: "cni0", 6: "cni0" },
};

function mapping(members: Partial<PortMapping> & { readonly host?: string } = {}): PortMapping {
  const { host, ...rest } = members;
  const hostIp = host === undefined ? undefined : parseIp(host);
  return { hostPort: 8080, containerPort: 80, protocol: ipProtocols.tcp, hostIp, ...rest };
}

function line({ source, target, targetPort, ...place }: PortForward): string {
  const detail =
    source.kind === "none" ? "" : source.kind === "all" ? `:${source.markBit}` : `:${source.device}:${source.markBit}`;
  return `${place.family} ${hostPortText(place)} > ${formatIp(target)} ${targetPort} ${source.kind}${detail}`;
}

function plan(mappings: readonly PortMapping[], settings: Partial<PortSettings> = {}): readonly string[] {
  return planForwards(mappings, { ...usual, ...settings }, dual).map(line);
}

test("planForwards() leads a port of all addresses to the pod's address of each family", () => {
  expect(plan([mapping()])).toEqual([
    "4 host port 8080/tcp > 10.244.1.2 80 local:cni0:13",
    "6 host port 8080/tcp > fd00::2 80 local:cni0:13",
  ]);
});

test("planForwards() keeps to the family of the host's address, and takes an unspecified one for all of its family", () => {
  expect(plan([mapping({ host: "192.0.2.1" })])).toEqual([
    "4 host port 192.0.2.1:8080/tcp > 10.244.1.2 80 local:cni0:13",
  ]);
  expect(plan([mapping({ host: "2001:db8::1" })])).toEqual([
    "6 host port [2001:db8::1]:8080/tcp > fd00::2 80 local:cni0:13",
  ]);
  expect(plan([mapping({ host: "0.0.0.0" })])).toEqual(["4 host port 8080/tcp > 10.244.1.2 80 local:cni0:13"]);
  expect(plan([mapping({ host: "::" })])).toEqual(["6 host port 8080/tcp > fd00::2 80 local:cni0:13"]);
});

test("planForwards() says whose source is rewritten, and with which mark", () => {
  const [first] = plan([mapping({ host: "0.0.0.0" })], { snat: false });
  expect(first).toEndWith("80 none");
  expect(plan([mapping({ host: "0.0.0.0" })], { masqueradeAll: true, markBit: 14 })[0]).toEndWith("80 all:14");
});

test("planForwards() takes each mapping once, tells protocols apart, and refuses a port that is to lead to two", () => {
  const same = [mapping(), mapping(), mapping({ protocol: ipProtocols.udp })];
  expect(plan(same).filter((text) => text.startsWith("4"))).toHaveLength(2);
  expect(() => plan([mapping(), mapping({ containerPort: 81 })])).toThrow("host port 8080/tcp is mapped to two");
});

test("an entry's index tells the keys of all its elements again", () => {
  const sources = [
    usual,
    { ...usual, snat: false },
    { ...usual, masqueradeAll: true, markBit: 0 },
    { ...usual, markBit: 31 },
  ];
  const mappings = [
    mapping(),
    mapping({ host: "192.0.2.1" }),
    mapping({ host: "2001:db8::1", protocol: ipProtocols.sctp }),
  ];
  for (const settings of sources) {
    for (const forward of planForwards(mappings, settings, dual)) {
      const { index, elements } = portEntry(forward);
      const made = elements.map(({ set, key }) => `${set} ${key.toHex()}`);
      expect(hostPortSets.keysOf(index).map(({ set, key }) => `${set} ${key.toHex()}`)).toEqual(made);
      expect(hostPortText(decodeHostPort(index))).toBe(hostPortText(forward));
    }
  }
});

const result = {
  interfaces: [{ name: "cni0" }, { name: "veth1" }, { name: "eth0", sandbox: "/run/netns/x" }, { name: "cni0.100" }],
  ips: [
    { address: "192.0.2.9/24", interface: 0 },
    { address: "10.244.1.2/24", interface: 2 },
    { address: "10.244.1.3/24", interface: 2 },
    { address: "fd00::2/64" },
  ],
};

function decoded(json: JsonObject): ReturnType<typeof decodeResult> {
  return decodeResult(new Decoder(json), "1.1.0");
}

test("podAddresses() takes the first address of each family that is the container's, or nobody's", () => {
  const { 4: ipv4, 6: ipv6 } = podAddresses(decoded(result), "eth0");
  expect([ipv4, ipv6].map((ip) => (ip === undefined ? "-" : formatIp(ip)))).toEqual(["10.244.1.2", "fd00::2"]);
  expect(podAddresses(decoded({ ips: [{ address: "10.0.0.2/24", interface: 5 }] }), "eth0")[4]).toBeDefined();
  expect(podAddresses(decoded(result), "net1")[4]).toBeUndefined();
});

test("findHostDevice() finds the device of the host that belongs to the container's", () => {
  expect(findHostDevice(decoded(result), "eth0")).toBe("veth1");
  expect(findHostDevice(decoded({ interfaces: [{ name: "veth7" }, { name: "eth0", sandbox: "/x" }] }), "eth0")).toBe(
    "veth7",
  );
  expect(findHostDevice(decoded({ interfaces: [{ name: "eth0", sandbox: "/x" }] }), "eth0")).toBeUndefined();
  expect(findHostDevice(decoded({}), "eth0")).toBeUndefined();
});

import { expect, test } from "bun:test";

import type { JsonObject } from "../../../../src/base/decode.ts";
import { builtInPlugins } from "../../../../src/plugins/main.ts";
import { errorLine, type PluginRun, printed, runPluginHere } from "../../../helpers/plugin-process.ts";

const prevResult = {
  cniVersion: "1.1.0",
  interfaces: [{ name: "eth0", mac: "02:00:00:00:00:01", sandbox: "/run/netns/x", mtu: 1450 }],
  ips: [{ interface: 0, address: "10.244.1.2/24", gateway: "10.244.1.1" }],
  routes: [{ dst: "0.0.0.0/0", gw: "10.244.1.1", priority: 5 }],
  dns: { nameservers: ["10.96.0.10"] },
};
const mapping = { hostPort: 8080, containerPort: 80, protocol: "tcp" };

function call(command: string, members: JsonObject = {}): PluginRun {
  const environment = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: "c1",
    CNI_NETNS: "/nonexistent",
    CNI_IFNAME: "eth0",
    CNI_PATH: "/nonexistent",
  };
  const stdin = {
    cniVersion: "1.1.0",
    name: "cbr0",
    type: "portmap",
    capabilities: { portMappings: true },
    ...members,
  };
  return runPluginHere({ plugin: "portmap", plugins: builtInPlugins(), environment, stdin });
}

function mapped(...mappings: readonly JsonObject[]): JsonObject {
  return { prevResult, runtimeConfig: { portMappings: mappings } };
}

test("portmap ADD hands on the previous result when nothing is mapped", () => {
  for (const members of [{}, { runtimeConfig: {} }, { runtimeConfig: { portMappings: [] } }, { snat: true }]) {
    expect(printed(call("ADD", { prevResult, ...members }))).toEqual(prevResult);
  }
  expect(call("CHECK", { prevResult })).toEqual({ exitCode: 0, stdout: "", stderr: "" });
});

test("portmap needs a previous result", () => {
  expect(errorLine(call("ADD"))).toBe("999 must be called as chained plugin");
  expect(errorLine(call("CHECK"))).toBe("999 Required prevResult missing");
});

test("portmap STATUS is silent, and 50 for a configuration that no ADD would take", () => {
  expect(call("STATUS")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  expect(errorLine(call("STATUS", { markMasqBit: 32 }))).toStartWith("50 failed to parse config: MasqMarkBit must be");
  expect(errorLine(call("STATUS", { backend: 5 }))).toStartWith('50 failed to parse config: Cannot read "backend"');
  expect(errorLine(call("STATUS", { conditionsV4: ["-d"] }))).toStartWith('50 unsupported field "conditionsV4"');
});

for (const [members, wanted] of [
  [mapped({ ...mapping, containerPort: 0 }), "Invalid container port number: 0"],
  [mapped({ ...mapping, hostPort: -1 }), "Invalid host port number: -1"],
  [mapped({ ...mapping, hostPort: 65_536 }), "Invalid host port number: 65536"],
  [mapped({ ...mapping, protocol: "icmp" }), 'Invalid protocol: "icmp" (must be tcp, udp or sctp)'],
  [mapped({ ...mapping, hostIP: "host" }), 'Invalid host IP: "host"'],
  [mapped({ ...mapping, hostPort: "80" }), 'Cannot read "runtimeConfig.portMappings[0].hostPort": it must be a whole'],
  [{ prevResult, backend: "ebpf" }, 'unrecognized backend "ebpf"'],
  [{ prevResult, markMasqBit: 32 }, "MasqMarkBit must be between 0 and 31"],
  [{ prevResult, markMasqBit: 1, externalSetMarkChain: "X" }, "Cannot specify externalSetMarkChain and markMasqBit"],
] as const) {
  test(`portmap ADD refuses a configuration: ${wanted}`, () => {
    expect(errorLine(call("ADD", members))).toStartWith(`7 failed to parse config: ${wanted}`);
  });
}

for (const [members, wanted] of [
  [{ externalSetMarkChain: "KUBE-MARK-MASQ" }, /^2 unsupported field "externalSetMarkChain": .*"markMasqBit": 14/],
  [{ conditionsV4: ["!", "-d", "192.0.2.0/24"] }, /^2 unsupported field "conditionsV4": .*hostIP/],
  [{ conditionsV6: ["ip6", "daddr", "::1"] }, /^2 unsupported field "conditionsV6": .*hostIP/],
] as const) {
  test(`portmap ADD and CHECK refuse what a table of our own cannot do, with a hint: ${Object.keys(members)[0]}`, () => {
    expect(errorLine(call("ADD", { prevResult, ...members }))).toMatch(wanted);
    expect(errorLine(call("CHECK", { prevResult, ...members }))).toMatch(wanted);
  });
}

test("portmap takes either backend, and conditions that say nothing", () => {
  for (const members of [{ backend: "iptables" }, { backend: "nftables" }, { conditionsV4: [], conditionsV6: null }]) {
    expect(printed(call("ADD", { prevResult, ...members }))).toEqual(prevResult);
  }
});

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

test("portmap ADD and CHECK refuse a mapping by name", () => {
  const wanted =
    '2 unsupported field "runtimeConfig.portMappings": host port 8080 to container port 80 (tcp) cannot be mapped:' +
    " it is not built yet";
  expect(errorLine(call("ADD", mapped(mapping)))).toBe(wanted);
  expect(errorLine(call("CHECK", mapped(mapping)))).toBe(wanted);
});

test("portmap DEL succeeds whatever it is told, and says on stderr that another portmap's rules stay", () => {
  expect(call("DEL")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  const told =
    "portmap: mapping of ports is not built yet: rules that another portmap has made for this container stay\n";
  expect(call("DEL", mapped(mapping))).toEqual({ exitCode: 0, stdout: "", stderr: told });
  expect(call("DEL", mapped({ hostPort: "x" }))).toEqual({ exitCode: 0, stdout: "", stderr: told });
  expect(call("DEL", { runtimeConfig: 5, markMasqBit: 99 })).toEqual({ exitCode: 0, stdout: "", stderr: "" });
});

test("portmap GC and STATUS have nothing to free and nothing that could be missing", () => {
  expect(call("GC", { "cni.dev/valid-attachments": [] })).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  expect(call("STATUS")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
});

for (const [members, wanted] of [
  [mapped({ ...mapping, containerPort: 0 }), "Invalid container port number: 0"],
  [mapped({ ...mapping, hostPort: -1 }), "Invalid host port number: -1"],
  [mapped({ ...mapping, hostPort: "80" }), 'Cannot read "runtimeConfig.portMappings[0].hostPort": it must be a whole'],
  [{ prevResult, backend: "ebpf" }, 'unrecognized backend "ebpf"'],
  [{ prevResult, markMasqBit: 32 }, "MasqMarkBit must be between 0 and 31"],
  [{ prevResult, markMasqBit: 1, externalSetMarkChain: "X" }, "Cannot specify externalSetMarkChain and markMasqBit"],
] as const) {
  test(`portmap ADD refuses a configuration: ${wanted}`, () => {
    expect(errorLine(call("ADD", members))).toStartWith(`7 failed to parse config: ${wanted}`);
  });
}

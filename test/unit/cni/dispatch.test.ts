import { expect, test } from "bun:test";

import { parseCidr } from "../../../src/addr/cidr.ts";
import type { JsonObject } from "../../../src/base/decode.ts";
import type { Environment } from "../../../src/cni/environment.ts";
import { CniError } from "../../../src/cni/error.ts";
import { dispatch } from "../../../src/cni/dispatch.ts";
import type { CniGcRequest, CniNetworkRequest, CniPlugin, CniRequest } from "../../../src/cni/plugin.ts";
import type { CniResult } from "../../../src/cni/result.ts";
import { errno, SyscallError } from "../../../src/sys/errno.ts";
import { errorLine, type PluginRun, printed, runPluginHere } from "../../helpers/plugin-process.ts";

const result: CniResult = {
  interfaces: [],
  ips: [{ address: parseCidr("10.0.0.2/24"), gateway: undefined, interfaceIndex: undefined }],
  routes: [],
  dns: undefined,
};

/** A plugin that remembers what it was asked, and does what the test says. */
class Recorder implements CniPlugin {
  readonly name = "recorder";
  readonly about = "CNI recorder plugin";
  readonly requests: CniRequest[] = [];
  readonly networkRequests: (CniNetworkRequest | CniGcRequest)[] = [];
  readonly #work: () => CniResult;

  constructor(work: () => CniResult = () => result) {
    this.#work = work;
  }

  add(request: CniRequest): CniResult {
    this.requests.push(request);
    return this.#work();
  }

  del(request: CniRequest): void {
    this.requests.push(request);
    this.#work();
  }

  check(request: CniRequest): void {
    this.requests.push(request);
    this.#work();
  }

  gc(request: CniGcRequest): void {
    this.networkRequests.push(request);
    this.#work();
  }

  status(request: CniNetworkRequest): void {
    this.networkRequests.push(request);
    this.#work();
  }
}

const variables: Environment = {
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/nonexistent",
  CNI_IFNAME: "eth0",
  CNI_ARGS: "IgnoreUnknown=1",
  CNI_PATH: "/a:/b",
};
const config = { cniVersion: "1.0.0", name: "cbr0", type: "recorder", own: { kept: [1] } };

function run(
  environment: Environment,
  stdin: JsonObject | string | (() => string) = config,
  plugin: CniPlugin = new Recorder(),
): PluginRun {
  return runPluginHere({ plugin: plugin.name, plugins: new Map([[plugin.name, plugin]]), environment, stdin });
}

function refuseToBeRead(): string {
  throw new Error("stdin was read");
}

test("dispatch() hands ADD the environment and the whole configuration", () => {
  const plugin = new Recorder();
  const ran = run({ ...variables, CNI_COMMAND: "ADD", TRACEPARENT: "00-1" }, config, plugin);
  expect(ran).toEqual({
    exitCode: 0,
    stdout: JSON.stringify({ cniVersion: "1.0.0", ips: [{ address: "10.0.0.2/24" }] }, undefined, 4),
    stderr: "",
  });
  const [request, ...more] = plugin.requests;
  expect(more).toEqual([]);
  expect(request).toMatchObject({
    command: "ADD",
    containerId: "c1",
    netns: "/nonexistent",
    interfaceName: "eth0",
    args: { text: "IgnoreUnknown=1" },
    path: ["/a", "/b"],
    environment: { TRACEPARENT: "00-1" },
    config: { json: config, name: "cbr0", cniVersion: "1.0.0" },
  });
  expect(request?.builtIn.get("recorder")).toBe(plugin);
});

test("dispatch() prints the result in the configuration's version, 0.1.0 when it names none", () => {
  const { cniVersion: _, ...unversioned } = config;
  const told = printed(run({ ...variables, CNI_COMMAND: "ADD" }, unversioned));
  expect(told).toEqual({ cniVersion: "0.1.0", ip4: { ip: "10.0.0.2/24" }, dns: {} });
});

test("dispatch() prints nothing for DEL, which needs no namespace", () => {
  const plugin = new Recorder();
  expect(run({ ...variables, CNI_NETNS: undefined, CNI_COMMAND: "DEL" }, config, plugin)).toEqual({
    exitCode: 0,
    stdout: "",
    stderr: "",
  });
  expect(plugin.requests.map(({ command, netns }) => [command, netns])).toEqual([["DEL", ""]]);
});

test("dispatch() answers VERSION without reading stdin", () => {
  expect(run({ CNI_COMMAND: "VERSION" }, refuseToBeRead)).toEqual({
    exitCode: 0,
    stdout: '{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}\n',
    stderr: "",
  });
});

test("dispatch() tells a person who calls without a command what this is", () => {
  for (const environment of [{}, { ...variables, CNI_COMMAND: "" }]) {
    const ran = run(environment, refuseToBeRead);
    expect([ran.exitCode, ran.stdout]).toEqual([0, ""]);
    expect(ran.stderr).toMatch(/^CNI recorder plugin .+\nCNI protocol versions supported: 0\.1\.0, .*, 1\.1\.0\n$/);
  }
});

test("dispatch() refuses an unknown command only after stdin was read and checked", () => {
  expect(errorLine(run({ CNI_COMMAND: "FOO" }))).toBe("4 unknown CNI_COMMAND: FOO");
  expect(errorLine(run({ CNI_COMMAND: "FOO" }, {}))).toBe("7 missing network name");
  expect(errorLine(run({ CNI_COMMAND: "FOO" }, refuseToBeRead))).toBe("5 error reading from stdin: stdin was read");
  expect(errorLine(run({ CNI_COMMAND: "add" }))).toBe("4 unknown CNI_COMMAND: add");
});

test("dispatch() tells what is missing before it reads stdin", () => {
  const wanted = "4 required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing";
  expect(errorLine(run({ CNI_COMMAND: "DEL" }, refuseToBeRead))).toBe(wanted);
});

test("dispatch() tells why stdin cannot be read, code 5", () => {
  const ran = run({ ...variables, CNI_COMMAND: "ADD" }, () => {
    throw new SyscallError("read", errno.EISDIR, "stdin");
  });
  expect(errorLine(ran)).toBe("5 error reading from stdin: Cannot read stdin: is a directory (EISDIR)");
});

test("dispatch() checks the configuration's version before the plugin sees it", () => {
  for (const command of ["ADD", "DEL"]) {
    const plugin = new Recorder();
    const ran = run({ ...variables, CNI_COMMAND: command }, { ...config, cniVersion: "1.2.0" }, plugin);
    expect(errorLine(ran)).toStartWith('1 incompatible CNI versions | config is "1.2.0", plugin supports ');
    expect(plugin.requests).toEqual([]);
  }
});

for (const [verb, first, before] of [
  ["CHECK", "0.4.0", "0.3.1"],
  ["GC", "1.1.0", "1.0.0"],
  ["STATUS", "1.1.0", "1.0.0"],
] as const) {
  test(`dispatch() calls ${verb} only from the version on that has it`, () => {
    const plugin = new Recorder();
    const list = { "cni.dev/valid-attachments": [] };
    function answer(members: JsonObject): string {
      return errorLine(run({ ...variables, CNI_COMMAND: verb }, { ...config, ...list, ...members }, plugin));
    }
    expect(answer({ cniVersion: before })).toBe(`1 config version does not allow ${verb}`);
    expect(answer({ cniVersion: "" })).toBe(`1 config version does not allow ${verb}`);
    expect(answer({ cniVersion: "2.0.0" })).toBe(`1 plugin version does not allow ${verb}`);
    expect(answer({ cniVersion: "x" })).toStartWith("6 failed to convert major version part");
    expect(answer({ name: "a b" })).toStartWith("7 invalid characters found in network name");
    expect(plugin.requests.length + plugin.networkRequests.length).toBe(0);
    expect(answer({ cniVersion: first })).toBe("none");
    expect(answer({ cniVersion: "1.1.0" })).toBe("none");
    expect(plugin.requests.length + plugin.networkRequests.length).toBe(2);
  });
}

test("dispatch() checks that CHECK's version is one there is", () => {
  const ran = run({ ...variables, CNI_COMMAND: "CHECK" }, { ...config, cniVersion: "0.9.0" });
  expect(errorLine(ran)).toStartWith("1 incompatible CNI versions");
});

test("dispatch() refuses the plugin's own namespace; DEL frees first what is outside of it, and tells nobody its path", () => {
  const environment = { ...variables, CNI_NETNS: "/proc/self/ns/net" };
  for (const command of ["ADD", "DEL"]) {
    const plugin = new Recorder();
    expect(errorLine(run({ ...environment, CNI_COMMAND: command }, config, plugin))).toBe(
      "8 plugin's netns and netns from CNI_NETNS should not be the same",
    );
    const paths = plugin.requests.flatMap((request) => [request.netns, request.environment["CNI_NETNS"]]);
    expect(paths).toEqual(command === "ADD" ? [] : ["", ""]);
    for (const override of ["1", "true", "TRUE"]) {
      const overridden = { CNI_COMMAND: command, CNI_NETNS_OVERRIDE: override };
      expect(errorLine(run({ ...environment, ...overridden }, config, plugin))).toBe("none");
    }
    expect(errorLine(run({ ...environment, CNI_COMMAND: command, CNI_NETNS_OVERRIDE: "0" }))).toStartWith("8 ");
  }
});

test("dispatch() leaves a path that is no namespace to the plugin", () => {
  for (const path of ["/nonexistent/netns", "/etc/hostname", "/"]) {
    const plugin = new Recorder();
    expect(errorLine(run({ ...variables, CNI_NETNS: path, CNI_COMMAND: "ADD" }, config, plugin))).toBe("none");
    expect(plugin.requests).toHaveLength(1);
  }
});

test("dispatch() prints an error in the configuration's version, where that is known", () => {
  const plugin = new Recorder(() => {
    throw new CniError(7, "wrong", "in detail");
  });
  expect(printed(run({ ...variables, CNI_COMMAND: "ADD" }, config, plugin))).toEqual({
    cniVersion: "1.0.0",
    code: 7,
    msg: "wrong",
    details: "in detail",
  });
  const versions = [{ ...config, cniVersion: "0.9.0" }, { ...config, cniVersion: 5 }, "{", {}].map((stdin) => {
    return printed(run({ ...variables, CNI_COMMAND: "ADD" }, stdin, plugin))["cniVersion"];
  });
  expect(versions).toEqual(["1.1.0", "1.1.0", "1.1.0", "1.1.0"]);
});

test("dispatch() prints an error as the reference does, indented and without an end of line", () => {
  const ran = run({ CNI_COMMAND: "GC" });
  const msg = "required env variables [CNI_PATH] missing";
  expect(ran.stdout).toBe(`{\n    "cniVersion": "1.1.0",\n    "code": 4,\n    "msg": "${msg}"\n}`);
  expect([ran.exitCode, ran.stderr]).toEqual([1, ""]);
});

test("dispatch() calls what a plugin throws internal, with all its causes", () => {
  const plugin = new Recorder(() => {
    throw new Error("Cannot add pod", { cause: new SyscallError("link", errno.ENOSPC, "a file") });
  });
  const wanted = "999 Cannot add pod: Cannot link a file: no space left on device (ENOSPC)";
  expect(errorLine(run({ ...variables, CNI_COMMAND: "ADD" }, config, plugin))).toBe(wanted);
  expect(errorLine(run({ ...variables, CNI_COMMAND: "DEL" }, config, plugin))).toBe(wanted);
});

test("dispatch() takes back an attachment whose result the version cannot hold", () => {
  const plugin = new Recorder(() => ({ ...result, ips: [] }));
  const ran = run({ ...variables, CNI_COMMAND: "ADD" }, { ...config, cniVersion: "0.2.0" }, plugin);
  expect(errorLine(ran)).toBe("999 cannot convert: no valid IP addresses");
  expect(plugin.requests.map(({ command }) => command)).toEqual(["ADD", "DEL"]);
});

test("dispatch() takes back an attachment whose result nobody can read, and says so on stderr", () => {
  const plugin = new Recorder();
  const written: string[] = [];
  const exitCodes: number[] = [];
  dispatch("recorder", new Map([["recorder", plugin]]), {
    environment: { ...variables, CNI_COMMAND: "ADD" },
    readStdin: () => JSON.stringify(config),
    writeStdout: () => {
      throw new SyscallError("write", 32, "stdout");
    },
    writeStderr: (text) => written.push(text),
    exit: (code) => exitCodes.push(code),
  });
  expect(plugin.requests.map(({ command }) => command)).toEqual(["ADD", "DEL"]);
  expect(exitCodes).toEqual([1]);
  expect(written.join("")).toContain("broken pipe");
});

test("dispatch() answers for a plugin that is not built yet with an error", () => {
  const ran = runPluginHere({ plugin: "portmap", plugins: new Map(), environment: variables, stdin: config });
  expect(errorLine(ran)).toBe('100 plugin "portmap" is not built yet');
});

test("dispatch() hands CHECK the attachment and prints nothing", () => {
  const plugin = new Recorder();
  const ran = run({ ...variables, CNI_COMMAND: "CHECK" }, config, plugin);
  expect(ran).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  expect(plugin.requests.map(({ command, containerId }) => [command, containerId])).toEqual([["CHECK", "c1"]]);
});

test("dispatch() hands GC the valid attachments and needs no attachment itself; without them it does nothing", () => {
  const plugin = new Recorder();
  const environment = { CNI_COMMAND: "GC", CNI_PATH: "/a" };
  const newest = { ...config, cniVersion: "1.1.0" };
  expect(errorLine(run(environment, newest, plugin))).toStartWith('7 missing "cni.dev/valid-attachments"');
  expect(plugin.networkRequests).toEqual([]);
  const list = [{ containerID: "c1", ifname: "eth0" }];
  expect(run(environment, { ...newest, "cni.dev/valid-attachments": list }, plugin).exitCode).toBe(0);
  const [request] = plugin.networkRequests;
  if (request === undefined || !("valid" in request)) throw new Error("GC was not called");
  expect([request.valid.has("c1", "eth0"), request.valid.has("c2", "eth0")]).toEqual([true, false]);
});

test("dispatch() answers CHECK in the host's own namespace, as the reference", () => {
  const environment = { ...variables, CNI_NETNS: "/proc/self/ns/net" };
  expect(errorLine(run({ ...environment, CNI_COMMAND: "CHECK" }))).toBe("none");
});

import { expect, test } from "bun:test";
import { readdir, rm } from "node:fs/promises";

import { Decoder, type JsonObject, parseJson } from "../../src/base/decode.ts";
import { builtInPlugins } from "../../src/plugins/main.ts";
import { errorLine, type PluginRun, runPluginHere } from "../helpers/plugin-process.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../helpers/temp.ts";

/** A host whose delegates are programs of the test's own; flannel itself runs in this process. */
class ScriptedHost implements AsyncDisposable {
  readonly #directory: TemporaryDirectory;

  constructor(directory: TemporaryDirectory) {
    this.#directory = directory;
  }

  /** A plugin that notes each call, prints the text, and exits with the status. */
  async write(name: string, text: string, status = 0): Promise<void> {
    const calls = this.#directory.join("calls");
    const lines = [`echo "${name} $CNI_COMMAND $(cat)" >> ${calls}`, `printf '%s' '${text}'`, `exit ${status}`];
    await this.#directory.write(`bin/${name}`, `#!/bin/sh\n${lines.join("\n")}\n`, 0o755);
  }

  /** The calls since the last time, as `PLUGIN COMMAND`, with the configurations that the plugins got. */
  async takeCalls(): Promise<{ readonly names: readonly string[]; readonly configs: readonly Decoder[] }> {
    const file = Bun.file(this.#directory.join("calls"));
    const lines = (await file.exists()) ? (await file.text()).trimEnd().split("\n") : [];
    await rm(this.#directory.join("calls"), { force: true });
    return {
      names: lines.map((line) => line.slice(0, line.indexOf(" {"))),
      configs: lines.map((line) => new Decoder(parseJson(line.slice(line.indexOf("{"))))),
    };
  }

  call(command: string, members: JsonObject): PluginRun {
    const environment = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: "c1",
      CNI_NETNS: "/nonexistent",
      CNI_IFNAME: "eth0",
      CNI_PATH: this.#directory.join("bin"),
      PATH: process.env["PATH"],
    };
    const places = { subnetFile: this.#directory.join("subnet.env"), dataDir: this.#directory.join("state") };
    const stdin = { cniVersion: "1.0.0", name: "net", type: "flannel", ...places, ...members };
    return runPluginHere({ plugin: "flannel", plugins: builtInPlugins(), environment, stdin });
  }

  /** Calls GC with a list of containers that still have their `eth0`. */
  collect(members: JsonObject, containerIds: readonly string[] = []): PluginRun {
    const list = containerIds.map((containerID) => ({ containerID, ifname: "eth0" }));
    return this.call("GC", { ...members, cniVersion: "1.1.0", "cni.dev/valid-attachments": list });
  }

  /** Writes a file as flannel keeps it. */
  async keep(name: string, content: JsonObject): Promise<void> {
    await this.#directory.write(`state/${name}`, JSON.stringify(content));
  }

  /** The names of the files that flannel keeps. */
  async state(): Promise<readonly string[]> {
    return (await readdir(this.#directory.path)).includes("state") ? readdir(this.#directory.join("state")) : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#directory[Symbol.asyncDispose]();
  }
}

async function createScriptedHost(): Promise<ScriptedHost> {
  const directory = await createTemporaryDirectory();
  const lines = ["FLANNEL_NETWORK=10.244.0.0/16", "FLANNEL_SUBNET=10.244.1.1/24", "FLANNEL_MTU=1450"];
  await directory.write("subnet.env", `${[...lines, "FLANNEL_IPMASQ=true"].join("\n")}\n`);
  return new ScriptedHost(directory);
}

const result = '{"cniVersion":"1.0.0","ips":[{"address":"10.244.1.9/24"}]}';
const other = { delegate: { type: "other" } };

test("flannel executes a delegate type that is not built in, with the configuration that it keeps", async () => {
  await using host = await createScriptedHost();
  await host.write("other", result);
  expect(host.call("ADD", other)).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await host.state()).toEqual(["c1"]);
  expect(errorLine(host.call("DEL", other))).toBe("none");
  const { names, configs } = await host.takeCalls();
  expect(names).toEqual(["other ADD", "other DEL"]);
  expect(configs[0]?.value).toEqual({
    cniVersion: "1.0.0",
    name: "net",
    type: "other",
    ipMasq: false,
    mtu: 1450,
    ipam: { type: "host-local", ranges: [[{ subnet: "10.244.1.0/24" }]], routes: [{ dst: "10.244.0.0/16" }] },
  });
  expect(configs[1]?.value).toEqual(configs[0]?.value);
  expect(await host.state()).toEqual([]);
});

test("flannel ADD passes the delegate's error on, has it delete, and keeps no file", async () => {
  await using host = await createScriptedHost();
  await host.write("other", '{"code":11,"msg":"busy","details":"later"}', 1);
  expect(errorLine(host.call("ADD", other))).toBe("11 busy | later");
  expect((await host.takeCalls()).names).toEqual(["other ADD", "other DEL"]);
  expect(await host.state()).toEqual([]);
});

test("flannel ADD names a delegate that is nowhere", async () => {
  await using host = await createScriptedHost();
  expect(errorLine(host.call("ADD", other))).toMatch(
    /^999 failed to delegate add: failed to find plugin "other" in path \[.*\/bin\]$/,
  );
  expect(await host.state()).toEqual([]);
});

test("flannel DEL keeps its file until the delegate's DEL has succeeded", async () => {
  await using host = await createScriptedHost();
  await host.write("other", result);
  host.call("ADD", other);
  await host.write("other", '{"code":999,"msg":"still in use"}', 1);
  for (let time = 0; time < 2; time++) {
    expect(errorLine(host.call("DEL", other))).toBe("999 still in use");
    expect(await host.state()).toEqual(["c1"]);
  }
  await host.write("other", "");
  expect(errorLine(host.call("DEL", other))).toBe("none");
  expect(await host.state()).toEqual([]);
  expect((await host.takeCalls()).names).toEqual(["other ADD", "other DEL", "other DEL", "other DEL"]);
});

test("flannel DEL uses what ADD kept, not what the configuration says since", async () => {
  await using host = await createScriptedHost();
  await host.write("other", result);
  await host.write("another", "");
  host.call("ADD", other);
  expect(errorLine(host.call("DEL", { delegate: { type: "another", mtu: 9000 } }))).toBe("none");
  expect((await host.takeCalls()).names).toEqual(["other ADD", "other DEL"]);
});

test("flannel DEL without its file tells what the delegate could not free", async () => {
  await using host = await createScriptedHost();
  await host.write("other", '{"code":999,"msg":"still in use"}', 1);
  expect(errorLine(host.call("DEL", other))).toBe("999 still in use");
  await host.write("other", "");
  expect(errorLine(host.call("DEL", other))).toBe("none");
  const { names, configs } = await host.takeCalls();
  expect(names).toEqual(["other DEL", "other DEL"]);
  expect(configs[0]?.field("ipam").field("ranges").value).toEqual([[{ subnet: "10.244.1.0/24" }]]);
});

test('flannel executes even what is built in when "inProcess" is false', async () => {
  await using host = await createScriptedHost();
  await host.write("bridge", result);
  expect(errorLine(host.call("ADD", { inProcess: false }))).toBe("none");
  expect(errorLine(host.call("DEL", { inProcess: false }))).toBe("none");
  expect(errorLine(host.call("ADD", { delegate: { inProcess: false } }))).toBe("none");
  expect(errorLine(host.call("DEL", {}))).toBe("none");
  const { names, configs } = await host.takeCalls();
  expect(names).toEqual(["bridge ADD", "bridge DEL", "bridge ADD", "bridge DEL"]);
  // The bridge that is executed is to execute its own delegate in turn.
  expect(configs.map((config) => config.field("inProcess").value)).toEqual([false, false, false, false]);
});

test("flannel DEL executes what upstream's file names when the configuration of today says so", async () => {
  await using host = await createScriptedHost();
  await host.write("bridge", "");
  await host.keep("c1", { cniVersion: "1.0.0", name: "net", type: "bridge", ipam: { type: "host-local" } });
  expect(errorLine(host.call("DEL", { inProcess: false }))).toBe("none");
  expect((await host.takeCalls()).names).toEqual(["bridge DEL"]);
  expect(await host.state()).toEqual([]);
});

test("flannel GC has a delegate delete what is stale, with what ADD kept, since its own GC may do nothing", async () => {
  await using host = await createScriptedHost();
  await host.write("other", result);
  await host.write("another", "");
  host.call("ADD", other);
  expect(errorLine(host.collect(other, ["c1"]))).toBe("none");
  expect((await host.takeCalls()).names).toEqual(["other ADD", "other GC"]);
  expect(await host.state()).toEqual(["c1"]);
  await host.write("other", '{"code":999,"msg":"still in use"}', 1);
  const changed = { delegate: { type: "another" } };
  expect(errorLine(host.collect(changed))).toBe("999 still in use");
  expect(await host.state()).toEqual(["c1"]);
  await host.write("other", "");
  expect(errorLine(host.collect(changed))).toBe("none");
  expect(await host.state()).toEqual([]);
  const { names, configs } = await host.takeCalls();
  expect(names).toEqual(["other DEL", "another GC", "other DEL", "another GC"]);
  expect(configs[0]?.value).toMatchObject({ name: "net", type: "other", mtu: 1450 });
});

test("flannel GC frees by what ADD kept even where nothing of the configuration can be read, and tells that", async () => {
  await using host = await createScriptedHost();
  await host.write("other", result);
  host.call("ADD", other);
  expect(errorLine(host.collect({ delegate: 5 }))).toStartWith("7 failed to load flannel netconf file");
  expect((await host.takeCalls()).names).toEqual(["other ADD", "other DEL"]);
  expect(await host.state()).toEqual([]);
});

test("flannel GC keeps upstream's file of what a program has made: DEL needs an interface, which it does not name", async () => {
  await using host = await createScriptedHost();
  await host.write("bridge", "");
  const kept = { cniVersion: "1.0.0", name: "net", type: "bridge", ipam: { type: "host-local" } };
  await host.keep("c1", kept);
  expect(errorLine(host.collect({ inProcess: false }))).toBe("none");
  expect((await host.takeCalls()).names).toEqual(["bridge GC"]);
  expect(await host.state()).toEqual(["c1"]);
  expect(errorLine(host.call("DEL", { inProcess: false }))).toBe("none");
  expect((await host.takeCalls()).names).toEqual(["bridge DEL"]);
});

import { expect, test } from "bun:test";
import { readdir, readFile, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { JsonObject } from "../../src/base/decode.ts";
import { type CniHost, createCniHost, type TestPod } from "../helpers/cni-host.ts";
import { resultAddresses } from "../helpers/cni.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { findLink, listAddresses } from "../helpers/kernel.ts";
import { podElements } from "../helpers/nftables.ts";
import { describeWith } from "../helpers/require.ts";

function statePath(host: CniHost, pod: TestPod): string {
  return join(host.flannelDirectory, pod.containerId);
}

async function readState(host: CniHost, pod: TestPod): Promise<unknown> {
  return JSON.parse(await readFile(statePath(host, pod), "utf8"));
}

/** What there is of pods: links, addresses and files, but not what outlives them. */
async function podTraces(host: CniHost): Promise<readonly string[]> {
  const lines = await host.leftovers();
  return lines.filter((line) => /veth|networks\/\w+\/(?:10\.|fd)|file flannel\//.test(line));
}

/** The message and code of an ADD that must fail. */
async function failure(host: CniHost, config: JsonObject, pod: TestPod): Promise<string> {
  const reply = await host.call("ADD", config, { pod });
  expect(reply.exitCode).toBe(1);
  return `${reply.error?.code} ${reply.error?.msg}`;
}

async function modeOf(path: string): Promise<string> {
  const { mode } = await stat(path);
  return (mode & 0o7777).toString(8);
}

await describeWith(["root", "executable", "link:veth", "link:bridge"], "flannel", () => {
  test("ADD keeps the delegate's configuration for DEL, and says nothing on stderr", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const added = await host.add(host.flannelConfig(), { pod });
    expect([resultAddresses(added), added.stderr]).toEqual([["10.244.1.2/24"], ""]);
    expect(await readState(host, pod)).toEqual({
      cniVersion: "0.3.1",
      name: "cbr0",
      type: "bridge",
      hairpinMode: true,
      isDefaultGateway: true,
      isGateway: true,
      ipMasq: false,
      mtu: 1450,
      ipam: {
        type: "host-local",
        dataDir: host.networksDirectory,
        ranges: [[{ subnet: "10.244.1.0/24" }]],
        routes: [{ dst: "10.244.0.0/16" }],
      },
      "tartan.interface": "eth0",
    });
    const modes = await Promise.all([host.flannelDirectory, statePath(host, pod)].map(modeOf));
    expect(modes).toEqual(["700", "600"]);
    expect(await findLink(pod.netns, "eth0")).toMatchObject({ mtu: 1450, up: true });
    expect(await host.delete(host.flannelConfig(), { pod })).toMatchObject({ stdout: "", stderr: "" });
    expect(await podTraces(host)).toEqual([]);
    expect(await listAddresses(pod.netns)).toEqual([]);
    await host.delete(host.flannelConfig(), { pod });
  });

  test("ADD gives addresses of both families when subnet.env has both", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const lines = ["FLANNEL_IPV6_NETWORK=fd00:10:244::/56", "FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64"];
    await writeFile(host.subnetFile, `${await readFile(host.subnetFile, "utf8")}${lines.join("\n")}\n`);
    const pod = await host.addPod();
    const added = await host.add(host.flannelConfig(), { pod });
    expect(resultAddresses(added)).toEqual(["10.244.1.2/24", "fd00:10:244:1::2/64"]);
    await host.delete(host.flannelConfig(), { pod });
    expect(await podTraces(host)).toEqual([]);
  });

  test("ADD without a usable subnet.env says which and why, and leaves nothing", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const start = "failed to load flannel 'subnet.env' file: ";
    const end = ". Check the flannel pod log for this node.";
    for (const [text, wanted] of [
      ["FLANNEL_MTU", '999 %line "FLANNEL_MTU" has no "="'],
      ["FLANNEL_MTU=1450\n", `999 %${host.subnetFile} is missing `],
    ] as const) {
      await writeFile(host.subnetFile, text);
      const told = await failure(host, host.flannelConfig(), pod);
      expect(told).toStartWith(wanted.replace("%", start));
      expect(told).toEndWith(end);
    }
    expect(await podTraces(host)).toEqual([]);
    expect(await readdir(host.directory.path)).toEqual(["subnet.env"]);
  });

  test("ADD masquerades where the daemon does not, and DEL takes that back", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const env = await readFile(host.subnetFile, "utf8");
    for (const [members, masquerades] of [
      [{ delegate: { isDefaultGateway: true } }, true],
      [{ delegate: { ipMasq: true } }, true],
      [{ delegate: { ipMasq: false } }, false],
    ] as const) {
      await host.add(host.flannelConfig(members), { pod });
      expect(await podElements(host.netns)).toHaveLength(masquerades ? 2 : 0);
      await host.delete(host.flannelConfig(members), { pod });
      expect(await podElements(host.netns)).toEqual([]);
    }
    // When the daemon does it, nothing is left to ask for.
    await writeFile(host.subnetFile, env.replace("FLANNEL_IPMASQ=false", "FLANNEL_IPMASQ=true"));
    const config = host.flannelConfig({ delegate: { isDefaultGateway: true } });
    await host.add(config, { pod });
    expect(await podElements(host.netns)).toEqual([]);
    await host.delete(config, { pod });
    expect(await podTraces(host)).toEqual([]);
  });

  test("ADD that fails leaves no file, and the one of an ADD before as it was", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await pod.netns.ip("link", "add", "eth0", "type", "bridge");
    expect(await failure(host, host.flannelConfig(), pod)).toContain("already exists");
    expect(await podTraces(host)).toEqual([]);
    await pod.netns.ip("link", "delete", "eth0");
    await host.add(host.flannelConfig(), { pod });
    const state = await readState(host, pod);
    const before = await host.leftovers();
    const changed = host.flannelConfig({ delegate: { ipMasq: false, mtu: 1400 } });
    expect(await failure(host, changed, pod)).toContain("duplicate allocation is not allowed");
    expect(await readState(host, pod)).toEqual(state);
    expect(await host.leftovers()).toEqual(before);
    await host.delete(host.flannelConfig(), { pod });
    expect(await podTraces(host)).toEqual([]);
  });

  test("two interfaces of one container are added and deleted one by one", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await host.add(host.flannelConfig(), { pod });
    const second = host.flannelConfig({ delegate: { ipMasq: false } });
    expect(resultAddresses(await host.add(second, { pod, ifname: "net1" }))).toEqual(["10.244.1.3/24"]);
    await host.delete(host.flannelConfig(), { pod });
    expect(await listAddresses(pod.netns)).toEqual([{ device: "net1", address: "10.244.1.3/24", scope: "global" }]);
    await host.delete(second, { pod, ifname: "net1" });
    expect(await listAddresses(pod.netns)).toEqual([]);
    expect(await podTraces(host)).toEqual([]);
  });

  test("two networks of one container do not delete with each other's configuration", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const other = host.flannelConfig({ name: "other", delegate: { ipMasq: false, bridge: "cni1" } });
    await host.add(host.flannelConfig(), { pod });
    await writeFile(host.subnetFile, (await readFile(host.subnetFile, "utf8")).replaceAll("10.244.1.", "10.244.7."));
    expect(resultAddresses(await host.add(other, { pod, ifname: "net1" }))).toEqual(["10.244.7.2/24"]);
    expect((await readdir(host.flannelDirectory)).toSorted()).toEqual([pod.containerId, `${pod.containerId}:net1`]);
    expect(await readState(host, pod)).toMatchObject({ name: "cbr0", "tartan.interface": "eth0" });
    await host.delete(host.flannelConfig(), { pod });
    expect(await podTraces(host)).toEqual([
      expect.stringContaining(`file flannel/${pod.containerId}:net1`),
      expect.stringContaining("file networks/other/10.244.7.2 "),
      expect.stringContaining("link veth"),
    ]);
    await host.delete(other, { pod, ifname: "net1" });
    expect(await podTraces(host)).toEqual([]);
  });
});

await describeWith(["root", "executable", "link:veth", "link:bridge"], "flannel DEL with what is left", () => {
  for (const [name, spoil] of [
    ["is gone", unlink],
    ["is empty", (path: string): Promise<void> => writeFile(path, "")],
    ["is garbage", (path: string): Promise<void> => writeFile(path, "\0\0{")],
    ["is no configuration", (path: string): Promise<void> => writeFile(path, '{"name":"cbr0"}')],
    [
      "names a network that no runtime takes",
      (path: string): Promise<void> => writeFile(path, '{"name":"[n","type":"bridge"}'),
    ],
    [
      "names flannel as its delegate",
      (path: string): Promise<void> => writeFile(path, '{"name":"cbr0","type":"flannel"}'),
    ],
  ] as const) {
    test(`DEL frees link and address when its file ${name}, also without subnet.env and namespace`, async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const [first, second, third] = [await host.addPod(), await host.addPod(), await host.addPod()];
      for (const pod of [first, second, third]) {
        await host.add(host.flannelConfig(), { pod });
        await spoil(statePath(host, pod));
      }
      await host.delete(host.flannelConfig(), { pod: first });
      expect(await listAddresses(first.netns)).toEqual([]);
      await unlink(host.subnetFile);
      await host.delete(host.flannelConfig(), { pod: second });
      expect(await listAddresses(second.netns)).toEqual([]);
      await host.delete(host.flannelConfig(), { pod: third, netns: "" });
      expect(await podTraces(host)).toEqual([]);
    });
  }

  test("DEL after an ADD that no configuration could make succeeds", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    for (const members of [
      { delegate: { type: "nowhere" } },
      { delegate: { name: "x" } },
      { delegate: { type: 5 } },
      { delegate: { ipMasq: 5 } },
      { ipam: { type: "nowhere" } },
      { ipam: { type: "no/where" } },
      { ipam: { type: 5 } },
      { ipam: { routes: "x" } },
      { ipam: { subnet: "10.0.0.1/24" } },
    ]) {
      const config = host.flannelConfig(members);
      await failure(host, config, pod);
      expect(await podTraces(host)).toEqual([]);
      await host.delete(config, { pod });
    }
  });

  const changes: readonly JsonObject[] = [
    { delegate: 5 },
    { delegate: { type: 5 } },
    { delegate: { type: "nowhere" } },
    { delegate: { bridge: "cni8" } },
    { ipam: "x" },
    { ipam: { type: "nowhere" } },
    { ipam: { dataDir: "/nonexistent" } },
    { runtimeConfig: [] },
    { subnetFile: 5 },
    { inProcess: "no" },
    { cniVersion: "0.1.0", ipam: { ranges: 5 } },
  ];
  for (const change of changes) {
    test(`DEL frees all that ADD made when the configuration has become ${JSON.stringify(change)}`, async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const [first, second] = [await host.addPod(), await host.addPod()];
      const config = host.flannelConfig({ delegate: { isDefaultGateway: true, ipMasq: true, bridge: "cni7" } });
      await host.add(config, { pod: first });
      await host.add(config, { pod: second });
      const changed = host.flannelConfig(change);
      await host.delete(changed, { pod: first });
      expect(await listAddresses(first.netns)).toEqual([]);
      await host.delete(changed, { pod: second, netns: "" });
      expect(await podTraces(host)).toEqual([]);
      expect(await podElements(host.netns)).toEqual([]);
      // As often as it is called.
      await host.delete(changed, { pod: first });
    });
  }

  test("DEL without its file frees by what can be read of the configuration", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await host.add(host.flannelConfig(), { pod });
    await unlink(statePath(host, pod));
    await host.delete(host.flannelConfig({ delegate: 5, inProcess: "no", subnetFile: [] }), { pod });
    expect(await podTraces(host)).toEqual([]);
  });

  test("DEL after a failed ADD of upstream's, which keeps a configuration that no plugin takes, succeeds", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const ipam = { type: "host-local", ranges: [[{ subnet: "10.0.0.1/24" }]], dataDir: host.networksDirectory };
    const kept = { cniVersion: "0.3.1", name: "cbr0", ipam };
    await host.directory.write(`flannel/${pod.containerId}`, JSON.stringify({ ...kept, type: "bridge" }));
    await host.delete(host.flannelConfig(), { pod });
    expect(await podTraces(host)).toEqual([]);
    // What a program says of it counts.
    await host.directory.write(`flannel/${pod.containerId}`, JSON.stringify({ ...kept, type: "other" }));
    const answer = '{"code":7,"msg":"no"}';
    await writeFile(plugins.program("other"), `#!/bin/sh\necho '${answer}'\nexit 1\n`, { mode: 0o755 });
    expect((await host.call("DEL", host.flannelConfig(), { pod })).error).toMatchObject({ code: 7, msg: "no" });
    expect(await podTraces(host)).toEqual([expect.stringContaining("file flannel/")]);
  });
});

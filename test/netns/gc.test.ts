import { expect, test } from "bun:test";
import { chmod, mkdir, readdir, rm, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { parseJson } from "../../src/base/decode.ts";
import { type CniHost, createCniHost, TestPod } from "../helpers/cni-host.ts";
import { callNetwork, collect, outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { listAddresses, listLinks } from "../helpers/kernel.ts";
import { describeWith } from "../helpers/require.ts";

const newest = { cniVersion: "1.1.0" };

/** What there is of pods, with their names left out: veths, address files and flannel's files. */
async function traces(host: CniHost): Promise<readonly string[]> {
  const lines = await host.leftovers();
  const own = lines.filter((line) => /link veth|networks\/\w+\/(?:10\.|fd)|file flannel\//.test(line));
  return own.map((line) =>
    line
      .replace(/veth\w+.*/, "veth")
      .replace(/ ".*/, "")
      .replace(/[\da-f]{64}/, "ID"),
  );
}

async function vethCount(host: CniHost): Promise<number> {
  const links = await listLinks(host.netns);
  return links.filter(({ kind }) => kind === "veth").length;
}

await describeWith(["root", "executable", "link:veth", "link:bridge"], "GC", () => {
  test("flannel frees link, addresses and file of what is not in the list, and nothing of what is", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.flannelConfig(newest);
    const [kept, stale, gone] = [await host.addPod(), await host.addPod(), await host.addPod()];
    for (const pod of [kept, stale, gone]) await host.add(config, { pod });
    await gone.netns.remove();
    expect(outcome(await collect(host, config, [kept]))).toBe("ok");
    expect(await traces(host)).toEqual(["file flannel/ID", "file networks/cbr0/10.244.1.2", "link veth"]);
    expect(await listAddresses(kept.netns)).toHaveLength(1);
    expect(await listAddresses(stale.netns)).toEqual([]);
    expect(await readdir(host.flannelDirectory)).toEqual([kept.containerId]);
    // As often as it is called; what was freed can be had again.
    expect(outcome(await collect(host, config, [kept]))).toBe("ok");
    await host.add(config, { pod: stale });
    expect(outcome(await collect(host, config, []))).toBe("ok");
    expect(await traces(host)).toEqual([]);
  });

  test("of two networks that share a bridge, each frees only its own", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const first = host.flannelConfig(newest);
    const second = host.flannelConfig({ ...newest, name: "other" });
    const [one, two] = [await host.addPod(), await host.addPod()];
    await host.add(first, { pod: one });
    await host.add(second, { pod: two });
    expect((await listLinks(host.netns)).filter(({ kind }) => kind === "bridge")).toHaveLength(1);
    expect(outcome(await collect(host, first, []))).toBe("ok");
    expect(await traces(host)).toEqual(["file flannel/ID", "file networks/other/10.244.1.2", "link veth"]);
    expect(await listAddresses(two.netns)).toHaveLength(1);
    expect(outcome(await collect(host, first, [two]))).toBe("ok");
    expect(await vethCount(host)).toBe(1);
    expect(outcome(await collect(host, second, [one]))).toBe("ok");
    expect(await traces(host)).toEqual([]);
  });

  test("interfaces of one container are judged one by one, and upstream's file by its container", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.flannelConfig(newest);
    const pod = await host.addPod();
    await host.add(config, { pod });
    await host.add(config, { pod, ifname: "net1" });
    const upstream = join(host.flannelDirectory, "upstream1");
    await writeFile(upstream, JSON.stringify({ name: "cbr0", type: "bridge" }));
    await writeFile(join(host.flannelDirectory, "foreign1"), JSON.stringify({ name: "other", type: "bridge" }));
    await writeFile(join(host.flannelDirectory, "torn1"), "");
    expect(outcome(await collect(host, config, [pod]))).toBe("ok");
    expect((await readdir(host.flannelDirectory)).toSorted()).toEqual(
      [pod.containerId, "foreign1", "torn1"].toSorted(),
    );
    expect((await listAddresses(pod.netns)).map(({ device }) => device)).toEqual(["eth0"]);
    expect(await vethCount(host)).toBe(1);
  });

  test("a device without our alias stays, also one whose alias says another network or another name", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.bridgeConfig(newest);
    await host.add(config, { pod: await host.addPod() });
    const aliases = [undefined, "tartan", "tartan cbr0 c1 eth0", "tartan other c1 eth0", "tartan-bridge cni0.100"];
    for (const [index, alias] of aliases.entries()) {
      await host.netns.ip("link", "add", `veth0${index}`, "type", "veth", "peer", "name", `peer${index}`);
      if (alias !== undefined) await host.netns.ip("link", "set", `veth0${index}`, "alias", alias);
    }
    expect(outcome(await collect(host, config, []))).toBe("ok");
    expect(await vethCount(host)).toBe(2 * aliases.length);
  });

  test("devices whose alias has room for hashes only are told apart by network and attachment as well", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const first = host.bridgeConfig(newest);
    const second = host.bridgeConfig({ ...newest, name: "other" });
    const [kept, stale, other] = await Promise.all(
      ["a", "b", "c"].map(async (letter) => new TestPod(letter.repeat(300), (await host.addPod()).netns)),
    );
    if (kept === undefined || stale === undefined || other === undefined) throw new Error("Cannot make three pods");
    await host.add(first, { pod: kept });
    await host.add(first, { pod: stale });
    await host.add(second, { pod: other });
    const aliases = [...(await host.netns.ip("link")).stdout.matchAll(/alias (.*)/g)].map(([, alias]) => alias);
    expect(aliases).toHaveLength(3);
    for (const alias of aliases) expect(alias).toMatch(/^tartan ~[\da-f]{64} [\da-f]{64}$/);
    expect(outcome(await collect(host, first, [kept]))).toBe("ok");
    expect(await listAddresses(kept.netns)).toHaveLength(1);
    expect(await listAddresses(stale.netns)).toEqual([]);
    expect(await listAddresses(other.netns)).toHaveLength(1);
    expect(outcome(await collect(host, first, []))).toBe("ok");
    expect(outcome(await collect(host, second, [kept]))).toBe("ok");
    expect(await traces(host)).toEqual([]);
  });

  test("addresses that name nobody are freed, old files are judged by their container", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.hostLocalConfig(newest);
    const [kept, stale] = [await host.addPod(), await host.addPod()];
    await host.add(config, { pod: kept });
    await host.add(config, { pod: stale });
    const directory = join(host.networksDirectory, "cbr0");
    await writeFile(join(directory, "10.244.1.20"), "");
    await writeFile(join(directory, "10.244.1.21"), "\0\0\0\0");
    await writeFile(join(directory, "10.244.1.22"), kept.containerId);
    await writeFile(join(directory, "10.244.1.23"), "gone");
    await writeFile(join(directory, "fd00::5"), "gone\r\neth0");
    await writeFile(join(directory, "notes"), "gone\r\neth0");
    expect(outcome(await collect(host, config, [kept]))).toBe("ok");
    const names = (await readdir(directory)).toSorted();
    // Of the two attachments that we added, the one that stays has its second name still.
    const wanted = ["10.244.1.2", "10.244.1.22", "last_reserved_ip.0", "lock", "notes"];
    expect(names[0]).toMatch(/^\.tartan-[\da-f]+$/);
    expect(names.slice(1)).toEqual(wanted);
  });

  test("what cannot be freed is told, all of it, and the rest is freed", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.flannelConfig(newest);
    const pod = await host.addPod();
    await host.add(config, { pod });
    const directory = join(host.networksDirectory, "cbr0");
    for (const name of ["10.244.1.40", "10.244.1.41"]) await mkdir(join(directory, name));
    const told = outcome(await collect(host, config, []));
    expect(told).toStartWith("999 ");
    expect(told).toContain("10.244.1.40");
    expect(told).toContain("10.244.1.41");
    expect(await vethCount(host)).toBe(0);
    // What the file leads to is free; the addresses that are not are nobody's.
    expect(await readdir(host.flannelDirectory)).toEqual([]);
    expect((await readdir(directory)).includes("10.244.1.2")).toBe(false);
    for (const name of ["10.244.1.40", "10.244.1.41"]) await rm(join(directory, name), { recursive: true });
    expect(outcome(await collect(host, config, []))).toBe("ok");
    expect(await traces(host)).toEqual([]);
  });

  test("without the list nothing is freed, and that is an error", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    for (const config of [host.flannelConfig(newest), host.bridgeConfig(newest), host.hostLocalConfig(newest)]) {
      const pod = await host.addPod();
      await host.add(config, { pod });
      const before = await host.leftovers();
      expect(outcome(await callNetwork(host, "GC", config))).toStartWith('7 missing "cni.dev/valid-attachments"');
      expect(await host.leftovers()).toEqual(before);
      await host.delete(config, { pod });
    }
  });

  test("works without subnet.env, and on a node where nothing was ever added", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.flannelConfig(newest);
    expect(outcome(await collect(host, config, []))).toBe("ok");
    await host.add(config, { pod: await host.addPod() });
    await unlink(host.subnetFile);
    expect(outcome(await collect(host, config, []))).toBe("ok");
    expect(await traces(host)).toEqual([]);
    expect(outcome(await collect(host, { ...newest, name: "lo", type: "loopback" }, []))).toBe("ok");
  });

  test("is forwarded to a delegate and an IPAM plugin that are executed, with the list", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const log = host.directory.join("calls");
    const script = `#!/bin/sh\nprintf '%s %s %s\\n' "$(basename "$0")" "$CNI_COMMAND" "$(cat)" >>${log}\n`;
    for (const name of ["other", "otheripam"]) {
      await writeFile(plugins.program(name), script);
      await chmod(plugins.program(name), 0o755);
    }
    const pod = await host.addPod();
    const delegated = host.flannelConfig({ ...newest, delegate: { type: "other", ipMasq: false } });
    const bridged = host.bridgeConfig({ ...newest, ipam: { type: "otheripam" } });
    for (const config of [delegated, bridged]) expect(outcome(await collect(host, config, [pod]))).toBe("ok");
    const lines = (await Bun.file(log).text()).trimEnd().split("\n");
    expect(lines.map((line) => line.split(" ", 2).join(" "))).toEqual(["other GC", "otheripam GC"]);
    for (const line of lines) {
      const config = parseJson(line.slice(line.indexOf("{")));
      const list = [{ containerID: pod.containerId, ifname: "eth0" }];
      expect(config).toMatchObject({ "cni.dev/valid-attachments": list, "cni.dev/attachments": list, name: "cbr0" });
    }
  });
});

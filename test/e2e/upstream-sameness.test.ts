import { expect, test } from "bun:test";
import { readFile, readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";

import { isJsonObject, parseJson } from "../../src/base/decode.ts";
import type { Json, JsonObject } from "../../src/base/decode.ts";
import { createCniHost } from "../helpers/cni-host.ts";
import type { CniHost, TestPod } from "../helpers/cni-host.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { findLink, listAddresses, listLinks, listRoutes } from "../helpers/kernel.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";
import { createUpstreamDirectory } from "../helpers/upstream.ts";

const needed = ["root", "executable", "link:veth", "link:bridge", "peer:cni-plugins", "peer:flannel-cni"] as const;

/**
 * The members of a result that only version 1.1.0 has. Upstream's bridge never tells an MTU, ours does from 1.1.0 on;
 * the others upstream prints in older versions too, which nobody reads.
 */
const newestMembers = new Set(["mtu", "socketPath", "pciID", "advmss", "priority", "table", "scope"]);

await describeWith(needed, "the same as upstream's plugins", () => {
  for (const version of ["0.3.0", "0.3.1", "0.4.0"]) {
    test(`flannel ADD in version ${version}: result, kernel state and files`, async () => {
      await expectSameness((host) => host.flannelConfig({ cniVersion: version }), version);
    });
  }

  for (const version of ["0.1.0", "0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]) {
    test(`bridge ADD in version ${version}: result, kernel state and files`, async () => {
      await expectSameness((host) => host.bridgeConfig({ cniVersion: version }), version);
    });

    test(`host-local ADD in version ${version}: result and files`, async () => {
      await expectSameness((host) => host.hostLocalConfig({ cniVersion: version }), version);
    });
  }

  // Under an older version upstream prints the form of the newest all the same, so that nothing can be compared.
  for (const version of ["1.0.0", "1.1.0"]) {
    test(`loopback ADD in version ${version}: result and kernel state`, async () => {
      await expectSameness(() => ({ cniVersion: version, name: "lo", type: "loopback" }), version);
    });
  }

  test("loopback DEL sets lo down, and is content when the namespace is gone", async () => {
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(ours.path);
    const pod = await host.addPod();
    const config = { cniVersion: "0.3.1", name: "lo", type: "loopback" };
    await host.add(config, { pod, ifname: "lo" });
    expect(await findLink(pod.netns, "lo")).toMatchObject({ up: true });
    await host.delete(config, { pod, ifname: "lo" });
    expect(await findLink(pod.netns, "lo")).toMatchObject({ up: false });
    await pod.netns.remove();
    await host.delete(config, { pod, ifname: "lo" });
  });

  test("bridge ADD without a gateway: result, kernel state and files", async () => {
    await expectSameness((host) => host.bridgeConfig({ isGateway: false, isDefaultGateway: false }), "0.3.1");
  });

  test("bridge ADD with two families: result, kernel state and files", async () => {
    await expectSameness((host) => {
      const ranges = [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:10:244:1::/64" }]];
      const routes = [{ dst: "10.244.0.0/16" }, { dst: "fd00:10:244::/48" }];
      return host.bridgeConfig({ cniVersion: "1.0.0", ipam: host.ipamConfig({ ranges, routes }) });
    }, "1.0.0");
  });

  test("host-local ADD takes up where the other left off, and wraps around", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(ours.path);
    const ranges = [[{ subnet: "10.244.1.0/24", rangeStart: "10.244.1.10", rangeEnd: "10.244.1.12" }]];
    const config = host.hostLocalConfig({ ipam: host.ipamConfig({ ranges }) });
    const given: (readonly string[])[] = [];
    for (const plugins of [theirs.path, ours.path, theirs.path, ours.path, theirs.path]) {
      const pod = await host.addPod();
      await host.add(config, { pod, plugins });
      given.push(await reservedAddresses(host));
      await host.delete(config, { pod, plugins: plugins === ours.path ? theirs.path : ours.path });
    }
    expect(given.flat()).toEqual(["10.244.1.10", "10.244.1.11", "10.244.1.12", "10.244.1.10", "10.244.1.11"]);
  });
});

/** Adds a pod with upstream's plugin on one host and with ours on another, and compares all that can be seen. */
async function expectSameness(config: (host: CniHost) => JsonObject, version: string): Promise<void> {
  await using theirs = await createUpstreamDirectory();
  await using ours = await createExecutableDirectory();
  const wanted = await addAndDescribe(theirs.path, config, version);
  const got = await addAndDescribe(ours.path, config, version);
  expect(got).toEqual(wanted);
}

/** What a pod's ADD printed and made, with everything that is random replaced by what it is. */
async function addAndDescribe(plugins: string, config: (host: CniHost) => JsonObject, version: string): Promise<Json> {
  await using host = await createCniHost(plugins);
  const pod = await host.addPod();
  const reply = await host.add(config(host), { pod });
  const seen = {
    result: withoutNewer(reply.result ?? null, version),
    host: await describeNetns(host.netns),
    pod: await describeNetns(pod.netns),
    files: await describeFiles(host),
  };
  return parseJson(hideRandom(JSON.stringify(seen), host, pod));
}

function hideRandom(text: string, host: CniHost, pod: TestPod): string {
  return text
    .replaceAll(pod.containerId, "CONTAINER")
    .replaceAll(pod.netns.path, "NETNS")
    .replaceAll(host.directory.path, "DIRECTORY")
    .replaceAll(/veth[0-9a-f]+/g, "VETH")
    .replaceAll(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g, "MAC");
}

/** An empty `dns` is printed by older libraries only, and means the same as none. */
function withoutNewer(value: Json, version: string): Json {
  if (isJsonList(value)) return value.map((item) => withoutNewer(item, version));
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([key, member]) => {
    if (key === "dns" && isJsonObject(member) && Object.keys(member).length === 0) return false;
    return key !== "mtu" && (version === "1.1.0" || !newestMembers.has(key));
  });
  return Object.fromEntries(kept.map(([key, member]) => [key, withoutNewer(member, version)]));
}

async function describeNetns(netns: TestNetns): Promise<Json> {
  const links = await listLinks(netns);
  const addresses = await listAddresses(netns);
  const routes = await listRoutes(netns);
  const forwarding = await netns.run([
    "cat",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/forwarding",
  ]);
  return {
    links: links.map((link) => ({
      name: link.name,
      kind: link.kind ?? "",
      mtu: link.mtu,
      up: link.up,
      master: link.master ?? "",
      hairpin: link.port.field("hairpin").value ?? null,
      isolated: link.port.field("isolated").value ?? null,
    })),
    addresses: addresses.map(({ device, address, scope }) => `${address} ${device} ${scope}`),
    routes: routes.map((route) => `${route.destination} ${route.gateway ?? "-"} ${route.device} ${route.scope ?? "-"}`),
    forwarding: forwarding.stdout.split("\n"),
  };
}

/**
 * The files of the plugins with their modes and contents, without the second names of address files that upstream does
 * not have; what flannel keeps is JSON, whose order means nothing, and of which upstream does not read our own member.
 */
async function describeFiles(host: CniHost): Promise<Json> {
  const described: Record<string, Json> = {};
  const entries = await readdir(host.directory.path, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter(({ name }) => name !== "subnet.env" && !name.startsWith(".tartan-"))) {
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    const text = entry.isFile() ? await readFile(path, "utf8") : "";
    const content = text.startsWith("{") ? withoutOwn(parseJson(text)) : text;
    described[relative(host.directory.path, path)] = { mode: (mode & 0o7777).toString(8), content };
  }
  return described;
}

function withoutOwn(state: Json): Json {
  if (!isJsonObject(state)) return state;
  return Object.fromEntries(Object.entries(state).filter(([key]) => !key.startsWith("tartan.")));
}

async function reservedAddresses(host: CniHost): Promise<readonly string[]> {
  const names = await readdir(join(host.networksDirectory, "cbr0"));
  return names.filter((name) => name.startsWith("10."));
}

function isJsonList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

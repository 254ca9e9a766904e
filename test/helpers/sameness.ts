import { expect } from "bun:test";
import { readFile, readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";

import { isJsonObject, parseJson } from "../../src/base/decode.ts";
import type { Json, JsonObject } from "../../src/base/decode.ts";
import { createCniHost } from "./cni-host.ts";
import type { CniHost, PluginStart, TestPod } from "./cni-host.ts";
import { createExecutableDirectory } from "./executable.ts";
import { listAddresses, listLinks, listRoutes } from "./kernel.ts";
import type { TestNetns } from "./netns.ts";
import { createUpstreamDirectory } from "./upstream.ts";

/**
 * The members of a result that only version 1.1.0 has. Upstream's bridge never tells an MTU, ours does from 1.1.0 on;
 * the others upstream prints in older versions too, which nobody reads.
 */
const newestMembers = new Set(["mtu", "socketPath", "pciID", "advmss", "priority", "table", "scope"]);

/** The MAC addresses that a configuration may ask for: they are compared, all others are random. */
const givenMacs: ReadonlySet<string> = new Set(["02:11:22:33:44:01", "02:11:22:33:44:02", "02:11:22:33:44:03"]);

/** A table of routes beside the main one, which a configuration may name. */
const otherRouteTable = "100";

/** What plugins set of a device, as far as the kernel has it. */
const deviceSysctls = [
  ...["arp_notify", "forwarding", "route_localnet", "proxy_arp"].map((name) => `ipv4/conf/DEVICE/${name}`),
  ...["accept_ra", "accept_dad", "enhanced_dad", "disable_ipv6", "keep_addr_on_down", "forwarding"].map(
    (name) => `ipv6/conf/DEVICE/${name}`,
  ),
];

/** How a pod is added. */
export interface SamenessOptions extends Pick<PluginStart, "args"> {
  /** Run on each host before. */
  readonly prepare?: (host: CniHost) => Promise<unknown>;
}

/** Adds a pod with upstream's plugin on one host and with ours on another, and compares all that can be seen. */
export async function expectSameness(
  config: (host: CniHost) => JsonObject,
  version: string,
  options: SamenessOptions = {},
): Promise<void> {
  await using theirs = await createUpstreamDirectory();
  await using ours = await createExecutableDirectory();
  const wanted = await addAndDescribe(theirs.path, config, version, options);
  const got = await addAndDescribe(ours.path, config, version, options);
  expect(got).toEqual(wanted);
}

/** What a pod's ADD printed and made, with everything that is random replaced by what it is. */
async function addAndDescribe(
  plugins: string,
  config: (host: CniHost) => JsonObject,
  version: string,
  { prepare, ...start }: SamenessOptions,
): Promise<Json> {
  await using host = await createCniHost(plugins);
  await prepare?.(host);
  const pod = await host.addPod();
  const reply = await host.add(config(host), { pod, ...start });
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
    .replaceAll(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g, (mac) => (givenMacs.has(mac) ? mac : "MAC"));
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
  const otherTable = await netns.run(["ip", "route", "show", "table", otherRouteTable], { exitCode: "any" });
  const vlans = await netns.run(["bridge", "-c", "vlan", "show"]);
  const forwarding = await netns.run([
    "cat",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/forwarding",
  ]);
  const described: Json[] = [];
  for (const link of links) {
    described.push({
      name: link.name,
      kind: link.kind ?? "",
      mac: link.mac,
      mtu: link.mtu,
      up: link.up,
      master: link.master ?? "",
      hairpin: link.port.field("hairpin").value ?? null,
      isolated: link.port.field("isolated").value ?? null,
      vlanFiltering: link.settings.field("vlan_filtering").value ?? null,
      ...(await describeDevice(netns, link.name)),
    });
  }
  return {
    links: described.toSorted((left, right) => JSON.stringify(left).localeCompare(JSON.stringify(right))),
    addresses: addresses.map(({ device, address, scope }) => `${address} ${device} ${scope}`),
    routes: routes.map((route) => `${route.destination} ${route.gateway ?? "-"} ${route.device} ${route.scope ?? "-"}`),
    otherTable: otherTable.stdout.split("\n"),
    vlans: vlans.stdout.split("\n"),
    forwarding: forwarding.stdout.split("\n"),
  };
}

/** The flags of a device, IFF_PROMISC among them, and its sysctls. */
async function describeDevice(netns: TestNetns, device: string): Promise<JsonObject> {
  const paths = deviceSysctls.map((key) => `/proc/sys/net/${key.replace("DEVICE", device)}`);
  const { stdout } = await netns.run(["cat", `/sys/class/net/${device}/flags`, ...paths]);
  const [flags = "", ...values] = stdout.trimEnd().split("\n");
  return { flags, sysctls: deviceSysctls.map((key, at) => `${key} ${values[at]}`) };
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

function isJsonList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

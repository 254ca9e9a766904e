/** The chains of plugins that are compared, and a host for each. */
import { copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import type { JsonObject } from "../src/base/decode.ts";
import { errorText } from "../src/base/error.ts";
import { peerProgram } from "../test/helpers/peers.ts";
import { upstreamPlugins } from "../test/helpers/upstream.ts";
import { takeAsOurs, takeAsUpstream } from "./cni-crowd.ts";
import { BenchHost, makeNetns } from "./cni-host.ts";
import type { Setting } from "./cni-settings.ts";

/** The chains by the names that results are printed under. */
export const chainNames = { upstream: "upstream", a: "ours (a)", b: "ours (b)" } as const;

const ourPlugins = ["flannel", "bridge", "host-local", "loopback", "portmap"];

/** The hosts of one setting by the name of their chain. */
export type Hosts = ReadonlyMap<string, BenchHost>;

/** Where the copies of the plugins are. */
export interface PluginDirectories {
  readonly upstream: string;
  readonly ours: string;
}

/**
 * Copies the plugins that are compared to a new directory: anew for each setting, since how a file came into the page cache
 * makes a difference of a third for an executable as large as ours, and pages that were dropped come back the slow way.
 */
export function copyPlugins(directory: string): PluginDirectories {
  mkdirSync(directory);
  const ours = Object.fromEntries(ourPlugins.map((name) => [name, `${import.meta.dir}/../dist/tartan`]));
  const upstream = { ...upstreamPlugins, portmap: peerProgram("cni-plugins", "portmap") };
  return {
    upstream: copyPrograms(`${directory}/upstream`, upstream),
    ours: copyPrograms(`${directory}/ours`, ours),
  };
}

/**
 * Makes a host for each chain: upstream's and (b) have flannel's stock conflist, (a) the one we ship. A chain that cannot
 * add and delete a pod is left out, which is said.
 */
export function makeHosts(directory: string, plugins: PluginDirectories, setting: Setting): Hosts {
  const hosts = new Map<string, BenchHost>();
  const capabilities = { portMappings: true };
  const portmap: JsonObject = { type: "portmap", capabilities };
  function add(name: string, from: string, cniVersion: string, further: readonly JsonObject[]): void {
    const path = `${directory}/${name.replaceAll(/\W/g, "")}`;
    // The conflist we ship has flannel map the ports.
    const fused = further.length === 0 ? { capabilities } : {};
    const entries = [{ ...flannelEntry(path), ...fused }, ...further];
    const host = new BenchHost(path, { name, cniVersion, plugins: from, entries }, setting);
    host.enter();
    const probe = { containerId: "probe", netns: makeNetns(`${path}/probe`), number: 0 };
    try {
      host.call("ADD", probe);
      host.call("DEL", probe);
    } catch (error) {
      console.log(`${name} is left out: ${errorText(error)}\n`);
      process.exitCode = 1;
      return;
    }
    if (from === plugins.upstream) takeAsUpstream(host, setting.taken);
    else takeAsOurs(host, setting.taken);
    hosts.set(name, host);
  }
  add(chainNames.upstream, plugins.upstream, "0.3.1", [portmap]);
  add(chainNames.a, plugins.ours, "1.0.0", []);
  add(chainNames.b, plugins.ours, "0.3.1", [portmap]);
  return hosts;
}

/** flannel's entry of the conflists, kept to a host's own directories. */
export function flannelEntry(directory: string): JsonObject {
  return {
    type: "flannel",
    subnetFile: `${directory}/subnet.env`,
    dataDir: `${directory}/flannel`,
    ipam: { dataDir: `${directory}/networks` },
    delegate: { hairpinMode: true, isDefaultGateway: true },
  };
}

function copyPrograms(path: string, programs: Readonly<Record<string, string>>): string {
  mkdirSync(path);
  const copies = new Map<string, string>();
  for (const [plugin, program] of Object.entries(programs)) {
    const first = copies.get(program);
    if (first === undefined) copyFileSync(program, `${path}/${plugin}`);
    else symlinkSync(first, `${path}/${plugin}`);
    copies.set(program, first ?? plugin);
  }
  return path;
}

/**
 * ADD and DEL of pods with host ports, and with masquerade by the delegate, against upstream's chain (portmap and bridge by
 * iptables-nft, as they choose here) in alternation; and against our own on an empty node, with the rules of a busy
 * kube-proxy and with many mappings there. Run by `npm run bench -- cni-ports`. Needs root, iptables, nft and the peers that
 * `npm test` installs; leaves nothing behind.
 */
import { parseIp } from "../src/addr/ip.ts";
import type { JsonObject } from "../src/base/decode.ts";
import { prepareHostPorts } from "../src/firewall/host-port-table.ts";
import { hostPortSets, portEntry } from "../src/firewall/host-ports.ts";
import { ipProtocols } from "../src/firewall/ip-protocols.ts";
import { takeEntries } from "../src/firewall/pod-sets.ts";
import { NETLINK_NETFILTER } from "../src/netlink/nftables-constants.ts";
import { NetlinkSocket } from "../src/netlink/socket.ts";
import { chainNames, copyPlugins, type Hosts, makeHosts, type PluginDirectories } from "./cni-chains.ts";
import { type BenchHost, makeMemoryDirectory } from "./cni-host.ts";
import { measureFloor } from "./cni-floor.ts";
import { printFloor } from "./cni-floor-report.ts";
import { machine, printBounds, printSamples } from "./cni-report.ts";
import { measureSetting, type Samples, valueOf } from "./cni-samples.ts";
import type { Measure, Setting } from "./cni-settings.ts";
import { isolate } from "./isolate.ts";

const foreignRules = 10_000;
const otherMappings = 5000;
/** Of our own on an empty node. */
const largestGrowth = 1.3;

const withPort = {
  daemonMasquerades: true,
  taken: 0,
  portMappings: (pod: number): readonly JsonObject[] => [
    { hostPort: 20_000 + pod, containerPort: 80, protocol: "tcp" },
  ],
  pods: 60,
  podsAtOnce: 30,
  parallel: 1,
};

const against: readonly [Setting, ...Setting[]] = [
  {
    ...withPort,
    title: "one host port",
    bounds: [
      { measure: "ADD p50", a: 0.2, b: undefined },
      { measure: "DEL p50", a: 0.25, b: undefined },
    ],
  },
  {
    ...withPort,
    title: "one host port, 16 pods at a time",
    pods: 200,
    podsAtOnce: 100,
    parallel: 16,
    bounds: [{ measure: "time of 100 ADDs", a: 1 / 6, b: undefined }],
  },
  {
    ...withPort,
    title: "masquerade by the delegate",
    daemonMasquerades: false,
    portMappings: () => [],
    bounds: [{ measure: "ADD p50", a: 0.2, b: undefined }],
  },
];
const alone: readonly Setting[] = [
  { ...withPort, title: "one host port", pods: 100, podsAtOnce: 50, bounds: [] },
  { ...withPort, title: "one host port, 16 at a time", pods: 300, podsAtOnce: 100, parallel: 16, bounds: [] },
];

const [given] = process.argv.slice(2);
if (given === undefined) process.exitCode = await isolate(import.meta.path);
else measure(given);

function measure(directory: string): void {
  console.log(machine());
  const memory = makeMemoryDirectory(`${directory}/memory`);
  const results = new Map<Setting, Samples>();
  for (const [index, setting] of against.entries()) {
    const plugins = copyPlugins(`${directory}/plugins-${index}`);
    const hosts = makeHosts(`${memory}/hosts-${index}`, plugins, setting);
    const samples = measureSetting(hosts, `${memory}/pods-${index}`, setting);
    printSamples(setting, samples);
    results.set(setting, samples);
  }
  printBounds(results);
  const withPorts = [...results].filter(([setting]) => setting.daemonMasquerades);
  printFloor(measureFloor(`${memory}/floor`, copyPlugins(`${directory}/plugins`), against[0]), new Map(withPorts));
  for (const [index, setting] of alone.entries()) {
    const plugins = copyPlugins(`${directory}/plugins-own-${index}`);
    const samples = measureSetting(
      ownHosts(`${memory}/own-${index}`, plugins, setting),
      `${memory}/own-pods-${index}`,
      setting,
    );
    printSamples(setting, samples);
    printGrowth(samples, setting.parallel === 1 ? ["ADD p50", "DEL p50"] : ["time of 100 ADDs"]);
  }
  console.log(`\n${machine()}`);
}

/** Our chain on hosts that differ in what else is in the ruleset. */
function ownHosts(directory: string, plugins: PluginDirectories, setting: Setting): Hosts {
  const hosts = new Map<string, BenchHost>();
  for (const [name, fill] of [
    ["empty", (): void => {}],
    ["10,000 rules", loadRules],
    ["5,000 ports", mapPorts],
  ] as const) {
    const host = makeHosts(`${directory}-${name.replaceAll(/\W/g, "")}`, plugins, setting).get(chainNames.a);
    if (host === undefined) throw new Error("Cannot measure: our chain does not work");
    host.enter();
    fill();
    hosts.set(name, host);
  }
  return hosts;
}

/** Rules as kube-proxy makes them: for each service a chain, and a rule that leads to it. */
function loadRules(): void {
  const lines = ["table ip nat {", "chain KUBE-SERVICES {"];
  const services = foreignRules / 4;
  const chains: string[] = [];
  for (let number = 0; number < services; number++) {
    const address = `10.96.${number >> 8}.${number & 255}`;
    lines.push(`ip daddr ${address} tcp dport 80 jump KUBE-SVC-${number}`);
    const rules = [
      `ip saddr != 10.244.0.0/16 ip daddr ${address} tcp dport 80 meta mark set mark or 0x4000`,
      "meta l4proto tcp numgen random mod 2 == 0 dnat to 10.244.9.1:80",
      "meta l4proto tcp dnat to 10.244.9.2:80",
    ];
    chains.push(`chain KUBE-SVC-${number} {\n${rules.join("\n")}\n}`);
  }
  const hooks = "chain PREROUTING { type nat hook prerouting priority -100; jump KUBE-SERVICES; }";
  const text = ["table ip nat {", ...chains, "}", ...lines, "}", hooks, "}"].join("\n");
  const { exitCode, stderr } = Bun.spawnSync(["nft", "-f", "-"], { stdin: Buffer.from(text) });
  if (exitCode !== 0) throw new Error(`Cannot load rules: ${stderr.toString().slice(0, 500)}`);
}

function mapPorts(): void {
  using socket = new NetlinkSocket(NETLINK_NETFILTER);
  for (let number = 0; number < otherMappings; number++) {
    const entry = portEntry({
      family: 4,
      address: undefined,
      protocol: ipProtocols.tcp,
      port: 30_000 + number,
      target: parseIp(`10.244.${100 + (number >> 8)}.${number & 255}`),
      targetPort: 80,
      source: { kind: "local", device: "cni0", markBit: 13 },
    });
    const owner = {
      network: "cbr0",
      containerId: `other-${number}`,
      interfaceName: "eth0",
      device: "lo",
      pod: undefined,
    };
    takeEntries(socket, hostPortSets, {
      owner,
      entries: [entry],
      prepare: () => prepareHostPorts(socket, 13),
      isThere: () => true,
    });
  }
}

function printGrowth(samples: Samples, measures: readonly Measure[]): void {
  const [[, empty] = [], ...others] = samples;
  for (const name of measures) {
    for (const [host, sample] of others) {
      const ratio = (valueOf(sample, name) ?? Number.NaN) / ((empty && valueOf(empty, name)) ?? Number.NaN);
      const mark = ratio > largestGrowth ? "!" : " ";
      console.log(`${name}, ${host}: ${ratio.toFixed(2)}${mark} of the empty node's (≤ ${largestGrowth})`);
    }
  }
}

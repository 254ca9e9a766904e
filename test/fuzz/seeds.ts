/** The inputs that are mutated: each verb of each plugin, with configurations that use every key. In them DIR is the run's directory. */
import type { JsonObject } from "../../src/base/decode.ts";

const prevResult = {
  cniVersion: "1.1.0",
  interfaces: [
    { name: "cni0", mac: "0a:58:0a:01:02:01", mtu: 1450 },
    { name: "veth1", mac: "02:00:00:00:00:02" },
    { name: "eth0", mac: "0a:58:0a:01:02:02", sandbox: "/nonexistent", mtu: 1450 },
  ],
  ips: [{ interface: 2, address: "10.1.2.2/24", gateway: "10.1.2.1" }],
  routes: [{ dst: "0.0.0.0/0", gw: "10.1.2.1", mtu: 1400, advmss: 1360, priority: 5, table: 254, scope: 0 }],
  dns: { nameservers: ["10.96.0.10"], domain: "a", search: ["b"], options: ["ndots:5"] },
};

const ipam = {
  type: "host-local",
  dataDir: "DIR/networks",
  ranges: [[{ subnet: "10.1.2.0/24", rangeStart: "10.1.2.9", rangeEnd: "10.1.2.99", gateway: "10.1.2.1" }]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "10.0.0.0/8", gw: "10.1.2.1", mtu: 1400 }],
};

const common = { cniVersion: "1.1.0", name: "n", "cni.dev/valid-attachments": [{ containerID: "c2", ifname: "eth0" }] };

/** The same result as older versions have it. */
const olderResult = {
  cniVersion: "0.4.0",
  interfaces: [{ name: "cni0" }, { name: "veth1" }, { name: "eth0", sandbox: "/nonexistent" }],
  ips: [
    { version: "4", interface: 2, address: "10.1.2.2/24", gateway: "10.1.2.1" },
    { version: "6", interface: 2, address: "fd00:1::2/64", gateway: "fd00:1::1" },
  ],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0", gw: "fd00:1::1" }],
};
const oldestResult = {
  cniVersion: "0.2.0",
  ip4: { ip: "10.1.2.2/24", gateway: "10.1.2.1", routes: [{ dst: "0.0.0.0/0" }] },
  ip6: { ip: "fd00:1::2/64", gateway: "fd00:1::1", routes: [{ dst: "::/0" }] },
};

const portMappings = [
  { hostPort: 8080, containerPort: 80, protocol: "tcp" },
  { hostPort: 5353, containerPort: 53, protocol: "udp", hostIP: "127.0.0.1" },
  { hostPort: 8081, containerPort: 80, protocol: "TCP", hostIP: "::" },
];

const twoFamilies = [...ipam.ranges, [{ subnet: "fd00:1::/64" }]];

/** Those that reach rules, mappings, VLANs and addresses that are asked for. */
const furtherSeeds: readonly JsonObject[] = [
  { ...common, type: "portmap", prevResult, runtimeConfig: { portMappings } },
  { ...common, cniVersion: "0.4.0", type: "portmap", prevResult: olderResult, runtimeConfig: { portMappings } },
  {
    ...common,
    cniVersion: "0.2.0",
    type: "portmap",
    backend: "nftables",
    snat: true,
    masqAll: true,
    markMasqBit: 14,
    prevResult: oldestResult,
    runtimeConfig: { portMappings },
  },
  {
    ...common,
    type: "bridge",
    mtu: 1450,
    isDefaultGateway: true,
    hairpinMode: true,
    ipMasq: true,
    ipMasqBackend: "nftables",
    macspoofchk: true,
    ipam: { ...ipam, ranges: twoFamilies },
  },
  {
    ...common,
    cniVersion: "0.4.0",
    type: "bridge",
    isGateway: true,
    ipMasq: true,
    args: { cni: { ips: ["10.1.2.30"], mac: "02:00:00:00:00:01" } },
    runtimeConfig: { ips: ["fd00:1::30/64"], mac: "02:00:00:00:00:02" },
    ipam: { ...ipam, ranges: twoFamilies },
    prevResult: olderResult,
  },
  {
    ...common,
    type: "bridge",
    bridge: "br2",
    vlan: 100,
    vlanTrunk: [{ id: 101 }, { minID: 200, maxID: 210 }],
    preserveDefaultVlan: true,
    macspoofchk: true,
    ipam,
  },
  {
    ...common,
    type: "flannel",
    subnetFile: "DIR/subnet.env",
    dataDir: "DIR/flannel",
    ipam: { dataDir: "DIR/networks" },
    delegate: { hairpinMode: true, isDefaultGateway: true, ipMasq: true, macspoofchk: true },
    capabilities: { portMappings: true },
    runtimeConfig: { portMappings },
    prevResult,
  },
  {
    ...common,
    cniVersion: "0.3.1",
    type: "flannel",
    subnetFile: "DIR/subnet.env",
    dataDir: "DIR/flannel",
    ipam: { dataDir: "DIR/networks" },
    delegate: { isDefaultGateway: true, ipMasq: true },
    masqAll: true,
    runtimeConfig: { portMappings },
    prevResult: { ...olderResult, cniVersion: "0.3.1" },
  },
];

/** Configurations by plugin. */
export const seeds: readonly JsonObject[] = [
  ...furtherSeeds,
  { ...common, type: "loopback", prevResult },
  { ...common, type: "portmap", prevResult, runtimeConfig: { portMappings: [] } },
  { ...common, type: "host-local", ipam },
  { ...common, type: "host-local", ipam: { type: "host-local", dataDir: "DIR/networks", subnet: "fd00::/64" } },
  {
    ...common,
    type: "host-local",
    ipam: { ...ipam, resolvConf: "DIR/resolv.conf" },
    args: { cni: { ips: ["10.1.2.20"] } },
    runtimeConfig: { ips: ["10.1.2.20"], ipRanges: [[{ subnet: "10.1.3.0/24" }]] },
  },
  { ...common, type: "bridge", mtu: 1450, isDefaultGateway: true, hairpinMode: true, ipMasq: false, ipam },
  {
    ...common,
    type: "bridge",
    bridge: "br1",
    promiscMode: true,
    vlan: 0,
    vlanTrunk: [],
    portIsolation: true,
    enabledad: false,
    forceAddress: true,
    macspoofchk: false,
    dns: prevResult.dns,
    args: { cni: { mac: "02:00:00:00:00:01" } },
    runtimeConfig: { mac: "02:00:00:00:00:02" },
    ipam: { ...ipam, ranges: [...ipam.ranges, [{ subnet: "fd00:1::/64" }]] },
    prevResult,
  },
  { ...common, type: "bridge", ipam: {}, disableContainerInterface: true },
  {
    ...common,
    type: "flannel",
    subnetFile: "DIR/subnet.env",
    dataDir: "DIR/flannel",
    ipam: { dataDir: "DIR/networks", routes: [{ dst: "192.168.0.0/16" }] },
    delegate: { type: "bridge", hairpinMode: true, isDefaultGateway: true, ipMasq: false },
    runtimeConfig: { mac: "02:00:00:00:00:03" },
    prevResult,
  },
  {
    ...common,
    cniVersion: "0.3.1",
    type: "flannel",
    subnetFile: "DIR/subnet.env",
    dataDir: "DIR/flannel",
    delegate: { ipMasq: false },
    ipam: { dataDir: "DIR/networks" },
  },
];

/** What the daemon wrote. */
export const subnetEnv: string = [
  "FLANNEL_NETWORK=10.1.0.0/16",
  "FLANNEL_SUBNET=10.1.2.1/24",
  "FLANNEL_IPV6_NETWORK=fd00:1::/48",
  "FLANNEL_IPV6_SUBNET=fd00:1::1/64",
  "FLANNEL_MTU=1450",
  "FLANNEL_IPMASQ=true",
  "",
].join("\n");

/** More ADD and DEL than the others, as in life. */
export const verbs: readonly string[] = ["ADD", "ADD", "ADD", "DEL", "DEL", "CHECK", "GC", "STATUS", "VERSION"];

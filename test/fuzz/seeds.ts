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

/** Configurations by plugin. */
export const seeds: readonly JsonObject[] = [
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

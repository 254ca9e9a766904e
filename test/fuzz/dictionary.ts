/** What the mutations put in: values that are wrong in many ways, or right in the wrong place. */
import type { Json } from "../../src/base/decode.ts";

/** Keys that some plugin knows, and some that JavaScript knows. */
export const keys: readonly string[] = [
  ..."cniVersion name type bridge isGateway isDefaultGateway forceAddress ipMasq ipMasqBackend mtu hairpinMode ipam".split(
    " ",
  ),
  ..."promiscMode vlan vlanTrunk preserveDefaultVlan macspoofchk portIsolation enabledad disableContainerInterface".split(
    " ",
  ),
  ..."dns nameservers domain search options args cni mac ips runtimeConfig ipRanges portMappings prevResult inProcess".split(
    " ",
  ),
  ..."subnet rangeStart rangeEnd gateway ranges routes dst gw advmss priority table scope dataDir resolvConf".split(
    " ",
  ),
  ..."subnetFile delegate id minID maxID interfaces address interface version ip4 ip6 ip sandbox socketPath pciID".split(
    " ",
  ),
  ..."cni.dev/valid-attachments cni.dev/attachments containerID ifname hostPort containerPort protocol hostIP".split(
    " ",
  ),
  ..."backend snat masqAll markMasqBit externalSetMarkChain conditionsV4 conditionsV6 capabilities tartan.interface".split(
    " ",
  ),
  ..."__proto__ constructor toString hasOwnProperty length 0 -1".split(" "),
  "",
];

/** Texts that mean something somewhere. In them DIR is the run's directory. */
export const texts: readonly string[] = [
  "",
  " ",
  "x",
  "\0",
  "a\0b",
  "a b",
  "a\nb",
  "ä€😀",
  "\ud800",
  "-",
  "..",
  "../..",
  "/",
  "DIR",
  "DIR/networks",
  "DIR/nothing/at/all",
  "/nonexistent",
  "/dev/null",
  "/dev/zero",
  "/dev/full",
  "/proc/self/mem",
  "/proc/self/ns/net",
  "DIR/pod",
  "veth",
  "cni0",
  "lo",
  "eth0",
  "a-name-that-is-too-long-for-an-interface",
  "x".repeat(300),
  "y".repeat(5000),
  ..."bridge host-local flannel loopback portmap static nowhere ../bridge".split(" "),
  ..."0.1.0 0.2.0 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0 1.2.0 9 v1 1.1 1.1.0.0".split(" "),
  ..."0.0.0.0/0 ::/0 10.1.2.0/24 10.1.2.3/24 10.1.2.3 10.1.2.0/30 10.1.2.0/31 10.0.0.0/8 255.255.255.255/32".split(" "),
  ..."fd00::/64 fd00::1 fd00::/127 ::ffff:10.1.2.0/120 ::ffff:10.1.2.0/24 1.2.3 1.2.3.4/33 01.2.3.4 ::1%lo".split(" "),
  ..."02:00:00:00:00:01 02-00-00-00-00-01 0200.0000.0001 ff:ff:ff:ff:ff:ff 00:00:00:00:00:00 02:00 4 6 tcp".split(" "),
];

/** Sizes, limits, and what lies beside them. */
const numbers: readonly number[] = [
  0,
  1,
  -1,
  2,
  7,
  31,
  32,
  68,
  254,
  255,
  256,
  1450,
  1500,
  4094,
  4095,
  8080,
  65_535,
  65_536,
  0.5,
  -0,
  1e308,
  5e-324,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  -(2 ** 31),
  -(2 ** 63),
];

/** Values of every kind. */
export const values: readonly Json[] = [
  ...texts,
  null,
  true,
  false,
  ...numbers,
  [],
  {},
  [[]],
  [[[]]],
  [null],
  [{}],
  [0],
  [""],
  { "": null },
  [{ dst: "0.0.0.0/0" }],
  [[{ subnet: "10.1.2.0/24" }]],
  [[{ subnet: "fd00::/64" }], [{ subnet: "10.1.3.0/24" }]],
  [{ id: 5 }, { minID: 1, maxID: 4094 }],
  [{ containerID: "c1", ifname: "eth0" }],
  { type: "host-local", subnet: "10.1.2.0/24", dataDir: "DIR/networks" },
  { cniVersion: "1.0.0", ips: [{ address: "10.1.2.3/24" }] },
];

/** Values of CNI_… variables; an empty one is as good as none. */
export const variables: readonly string[] = [
  ...texts.filter((text) => !text.includes("\0")),
  ..."ADD DEL CHECK GC STATUS VERSION add MAKE".split(" "),
  ..."IgnoreUnknown=1 IP=10.1.2.9 IP=10.1.2.9/24;MAC=02:00:00:00:00:01 A=B=C ; = IgnoreUnknown=1;IP=fd00::9".split(" "),
  ..."1 true TRUE yes".split(" "),
  "DIR/plugins",
  "DIR/plugins:/nonexistent",
  ":",
];

/** What is wrong with the daemon's file, subnet.env. */
import type { WrongInput } from "./input.ts";

const config = {
  cniVersion: "1.1.0",
  name: "n",
  type: "flannel",
  subnetFile: "DIR/subnet.env",
  dataDir: "DIR/flannel",
};
const network = "FLANNEL_NETWORK=10.244.0.0/16\n";
const subnet = "FLANNEL_SUBNET=10.244.1.1/24\n";
const mtu = "FLANNEL_MTU=1450\n";
const masquerade = "FLANNEL_IPMASQ=true\n";

/** What ADD says between `failed to load flannel 'subnet.env' file` and where to look. */
const unreadable: readonly (readonly [string, string])[] = [
  [
    "",
    "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ",
  ],
  [
    "\n",
    "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ",
  ],
  [
    `#${network}`,
    "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ",
  ],
  [network, "DIR/subnet.env is missing FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ"],
  [subnet, "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_MTU, FLANNEL_IPMASQ"],
  [
    mtu,
    "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_IPMASQ",
  ],
  [
    masquerade,
    "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU",
  ],
  [`${network}${subnet}`, "DIR/subnet.env is missing FLANNEL_MTU, FLANNEL_IPMASQ"],
  [`${network}${subnet}${mtu}`, "DIR/subnet.env is missing FLANNEL_IPMASQ"],
  [`${network}${subnet}${masquerade}`, "DIR/subnet.env is missing FLANNEL_MTU"],
  [`${network}${mtu}${masquerade}`, "DIR/subnet.env is missing FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET"],
  [`${subnet}${mtu}${masquerade}`, "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK"],
  [
    `FLANNEL_IPV6_NETWORK=fd00::/48\n${mtu}${masquerade}`,
    "DIR/subnet.env is missing FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET",
  ],
  [
    `FLANNEL_IPV6_SUBNET=fd00::1/64\n${mtu}${masquerade}`,
    "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK",
  ],
  [` ${network}${subnet}${mtu}${masquerade}`, "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK"],
  [
    `flannel_network=10.244.0.0/16\n${subnet}${mtu}${masquerade}`,
    "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK",
  ],
  [`FLANNEL_NETWORK\n${subnet}${mtu}${masquerade}`, 'line "FLANNEL_NETWORK" has no "="'],
  [`${network}FLANNEL_SUBNET\n${mtu}${masquerade}`, 'line "FLANNEL_SUBNET" has no "="'],
  [`${network}${subnet}FLANNEL_MTU\n${masquerade}`, 'line "FLANNEL_MTU" has no "="'],
  [`${network}${subnet}${mtu}FLANNEL_IPMASQ\n`, 'line "FLANNEL_IPMASQ" has no "="'],
  [`${network}FLANNEL_IPV6_SUBNET\n${subnet}${mtu}${masquerade}`, 'line "FLANNEL_IPV6_SUBNET" has no "="'],
  [`FLANNEL_NETWORK=\n${subnet}${mtu}${masquerade}`, "invalid CIDR address: "],
  [`FLANNEL_NETWORK=10.244.0.0\n${subnet}${mtu}${masquerade}`, "invalid CIDR address: 10.244.0.0"],
  [`FLANNEL_NETWORK=10.244.0.0/33\n${subnet}${mtu}${masquerade}`, "invalid CIDR address: 10.244.0.0/33"],
  [`FLANNEL_NETWORK=10.244.0.0/16,\n${subnet}${mtu}${masquerade}`, "invalid CIDR address: "],
  [
    `FLANNEL_NETWORK=10.244.0.0/16, 10.245.0.0/16\n${subnet}${mtu}${masquerade}`,
    "invalid CIDR address:  10.245.0.0/16",
  ],
  [`FLANNEL_NETWORK="10.244.0.0/16"\n${subnet}${mtu}${masquerade}`, 'invalid CIDR address: "10.244.0.0/16"'],
  [`FLANNEL_NETWORK= 10.244.0.0/16\n${subnet}${mtu}${masquerade}`, "invalid CIDR address:  10.244.0.0/16"],
  [`${network}FLANNEL_SUBNET=\n${mtu}${masquerade}`, "invalid CIDR address: "],
  [`${network}FLANNEL_SUBNET=10.244.1.1\n${mtu}${masquerade}`, "invalid CIDR address: 10.244.1.1"],
  [
    `${network}FLANNEL_SUBNET=10.244.1.1/24,10.244.2.1/24\n${mtu}${masquerade}`,
    "invalid CIDR address: 10.244.1.1/24,10.244.2.1/24",
  ],
  [`${network}FLANNEL_SUBNET=x\n${mtu}${masquerade}`, "invalid CIDR address: x"],
  [`${network}FLANNEL_IPV6_SUBNET=fd00::\n${subnet}${mtu}${masquerade}`, "invalid CIDR address: fd00::"],
  [`${network}${subnet}FLANNEL_MTU=\n${masquerade}`, 'FLANNEL_MTU is "", wanted a number'],
  [`${network}${subnet}FLANNEL_MTU=-1\n${masquerade}`, 'FLANNEL_MTU is "-1", wanted a number'],
  [`${network}${subnet}FLANNEL_MTU=1450 \n${masquerade}`, 'FLANNEL_MTU is "1450 ", wanted a number'],
  [`${network}${subnet}FLANNEL_MTU=0x5aa\n${masquerade}`, 'FLANNEL_MTU is "0x5aa", wanted a number'],
  [`${network}${subnet}FLANNEL_MTU=1e3\n${masquerade}`, 'FLANNEL_MTU is "1e3", wanted a number'],
  [`${network}${subnet}FLANNEL_MTU=1.5\n${masquerade}`, 'FLANNEL_MTU is "1.5", wanted a number'],
  [`${network}${subnet}FLANNEL_MTU=99999999999\n${masquerade}`, 'FLANNEL_MTU is "99999999999", wanted a number'],
  [`${network}${subnet}FLANNEL_MTU=x\n${masquerade}`, 'FLANNEL_MTU is "x", wanted a number'],
  [`${network}${subnet}${masquerade}FLANNEL_MTU=1450\u0000\n`, 'FLANNEL_MTU is "1450\u0000", wanted a number'],
  [
    "\u0000\u0000\u0000\u0000",
    "DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ",
  ],
];

/** What ADD says to a missing file, and to one that reads well and asks for what cannot be. */
const unusable: readonly (readonly [string | undefined, string])[] = [
  [
    undefined,
    "11 failed to load flannel 'subnet.env' file: Cannot open DIR/subnet.env: no such file or directory (ENOENT). Check the flannel pod log for this node.",
  ],
  [
    `${network}${subnet}FLANNEL_MTU=70000\n${masquerade}`,
    '7 failed to load netconf: Cannot read "mtu": 70000 is not between 0 and 65535',
  ],
];

/** What STATUS says. */
const asked: readonly (readonly [string | undefined, string])[] = [
  [
    `${network}FLANNEL_SUBNET=10.244.1.1/31\n${mtu}${masquerade}`,
    "50 invalid range set 0: Network 10.244.1.0/31 too small to allocate from",
  ],
  [
    `${network}${subnet}FLANNEL_MTU=70000\n${masquerade}`,
    '50 failed to load netconf: Cannot read "mtu": 70000 is not between 0 and 65535',
  ],
  [
    "",
    "50 failed to load flannel 'subnet.env' file: DIR/subnet.env is missing FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK, FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ. Check the flannel pod log for this node.",
  ],
  [
    undefined,
    "50 failed to load flannel 'subnet.env' file: Cannot open DIR/subnet.env: no such file or directory (ENOENT). Check the flannel pod log for this node.",
  ],
];

/** Wrong subnet.env files, or none. */
export const wrongSubnetFiles: readonly WrongInput[] = [
  ...unreadable.map(([subnetEnv, problem]) => ({
    plugin: "flannel",
    stdin: config,
    subnetEnv,
    error: `999 failed to load flannel 'subnet.env' file: ${problem}. Check the flannel pod log for this node.`,
  })),
  ...unusable.map(([subnetEnv, error]) => ({ plugin: "flannel", stdin: config, subnetEnv, error })),
  ...asked.map(([subnetEnv, error]) => ({
    plugin: "flannel",
    environment: { CNI_COMMAND: "STATUS" },
    stdin: config,
    subnetEnv,
    error,
  })),
];

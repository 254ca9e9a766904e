/** What is wrong with the keys of the flannel plugin, and with those of its delegate. */
import type { JsonObject } from "../../src/base/decode.ts";
import type { WrongInput } from "./input.ts";

const config = {
  cniVersion: "1.1.0",
  name: "n",
  type: "flannel",
  subnetFile: "DIR/subnet.env",
  dataDir: "DIR/flannel",
};

/** What the daemon wrote is right. */
const subnetEnv =
  "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

/** What ADD says. */
const added: readonly (readonly [JsonObject, string])[] = [
  [
    { subnetFile: 5 },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "subnetFile": it must be a string, and is the number 5',
  ],
  [
    { subnetFile: {} },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "subnetFile": it must be a string, and is an object',
  ],
  [
    { subnetFile: "/nonexistent/subnet.env" },
    "11 failed to load flannel 'subnet.env' file: Cannot open /nonexistent/subnet.env: no such file or directory (ENOENT). Check the flannel pod log for this node.",
  ],
  [
    { subnetFile: "/proc" },
    "999 failed to load flannel 'subnet.env' file: Cannot read /proc: is a directory (EISDIR). Check the flannel pod log for this node.",
  ],
  [
    { subnetFile: "a\u0000b" },
    "999 failed to load flannel 'subnet.env' file: Cannot use path \"a\\u0000b\": it holds a NUL character. Check the flannel pod log for this node.",
  ],
  [
    { dataDir: 5 },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "dataDir": it must be a string, and is the number 5',
  ],
  [
    { dataDir: ["x"] },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "dataDir": it must be a string, and is a list',
  ],
  [{ dataDir: "/dev/null" }, "999 Cannot use as a directory /dev/null: not a directory (ENOTDIR)"],
  [{ dataDir: "/proc/nonexistent" }, "999 Cannot make directory /proc/nonexistent: no such file or directory (ENOENT)"],
  [{ dataDir: "/proc/a\u0000b" }, '999 Cannot use path "/proc/a\\u0000b/c1": it holds a NUL character'],
  [
    { delegate: 5 },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "delegate": it must be an object, and is the number 5',
  ],
  [
    { delegate: "bridge" },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "delegate": it must be an object, and is the string "bridge"',
  ],
  [
    { delegate: [] },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "delegate": it must be an object, and is a list',
  ],
  [{ delegate: { type: 5 } }, "7 'delegate' dictionary, if present, must have (string) 'type' field"],
  [{ delegate: { type: null } }, "7 'delegate' dictionary, if present, must have (string) 'type' field"],
  [{ delegate: { type: {} } }, "7 'delegate' dictionary, if present, must have (string) 'type' field"],
  [{ delegate: { type: "" } }, "999 failed to delegate add: no plugin name provided"],
  [
    { delegate: { type: "nowhere" } },
    '999 failed to delegate add: failed to find plugin "nowhere" in path [/nonexistent]',
  ],
  [{ delegate: { type: "../bridge" } }, "999 failed to delegate add: invalid plugin name: ../bridge"],
  [{ delegate: { name: "x" } }, "7 'delegate' dictionary must not have 'name' field, it'll be set by flannel"],
  [{ delegate: { name: null } }, "7 'delegate' dictionary must not have 'name' field, it'll be set by flannel"],
  [{ delegate: { NAME: "x" } }, "7 'delegate' dictionary must not have 'name' field, it'll be set by flannel"],
  [{ delegate: { ipam: {} } }, "7 'delegate' dictionary must not have 'ipam' field, it'll be set by flannel"],
  [{ delegate: { ipam: null } }, "7 'delegate' dictionary must not have 'ipam' field, it'll be set by flannel"],
  [{ delegate: { Ipam: {} } }, "7 'delegate' dictionary must not have 'ipam' field, it'll be set by flannel"],
  [
    { delegate: { mtu: "1450" } },
    '7 failed to load netconf: Cannot read "mtu": it must be a whole number, and is the string "1450"',
  ],
  [{ delegate: { vlan: 5000 } }, "7 invalid VLAN ID 5000 (must be between 0 and 4094)"],
  [
    { delegate: { isGateway: 1 } },
    '7 failed to load netconf: Cannot read "isGateway": it must be true or false, and is the number 1',
  ],
  [
    { delegate: { hairpinMode: true, promiscMode: true } },
    "7 cannot set hairpin mode and promiscuous mode at the same time",
  ],
  [{ delegate: { disableContainerInterface: true } }, "7 cannot use IPAM when DisableContainerInterface flag is set"],
  [
    { delegate: { type: "flannel" } },
    `7 'delegate' dictionary must not have 'type' "flannel", which would call itself`,
  ],
  [
    { ipam: 5 },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "ipam": it must be an object, and is the number 5',
  ],
  [
    { ipam: "host-local" },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "ipam": it must be an object, and is the string "host-local"',
  ],
  [
    { ipam: [] },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "ipam": it must be an object, and is a list',
  ],
  [
    { ipam: { type: 5 } },
    '7 failed to load netconf: Cannot read "ipam.type": it must be a string, and is the number 5',
  ],
  [
    { ipam: { routes: 5 } },
    '7 failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes: Cannot read "routes": it must be a list, and is the number 5',
  ],
  [
    { ipam: { routes: "x" } },
    '7 failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes: Cannot read "routes": it must be a list, and is the string "x"',
  ],
  [
    { ipam: { routes: [{}] } },
    '7 failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes: Cannot read "routes[0].dst": it must be an address with a prefix length, and is absent',
  ],
  [
    { ipam: { routes: [{ dst: "x" }] } },
    '7 failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes: Cannot read "routes[0].dst": it must be an address with a prefix length, and is the string "x"',
  ],
  [
    { ipam: { routes: [{ dst: "0.0.0.0/0", gw: "x" }] } },
    '7 failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes: Cannot read "routes[0].gw": it must be an IP address, and is the string "x"',
  ],
  [
    { ipam: { routes: [{ dst: "0.0.0.0/0", mtu: "x" }] } },
    '7 failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes: Cannot read "routes[0].mtu": it must be a whole number, and is the string "x"',
  ],
  [
    { runtimeConfig: 5 },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "runtimeConfig": it must be an object, and is the number 5',
  ],
  [
    { runtimeConfig: [] },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "runtimeConfig": it must be an object, and is a list',
  ],
  [
    { runtimeConfig: { mac: 5 } },
    '7 failed to load netconf: Cannot read "runtimeConfig.mac": it must be a string, and is the number 5',
  ],
  [{ runtimeConfig: { mac: "zz" } }, "7 address zz: invalid MAC address"],
  [
    { inProcess: "no" },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "inProcess": it must be true or false, and is the string "no"',
  ],
  [
    { inProcess: 0 },
    '7 failed to load flannel netconf file: failed to load netconf: Cannot read "inProcess": it must be true or false, and is the number 0',
  ],
  [{ inProcess: false }, '999 failed to delegate add: failed to find plugin "bridge" in path [/nonexistent]'],
];

/** What STATUS says. */
const asked: readonly (readonly [JsonObject, string])[] = [
  [
    { subnetFile: 5 },
    '50 failed to load flannel netconf file: failed to load netconf: Cannot read "subnetFile": it must be a string, and is the number 5',
  ],
  [
    { subnetFile: "/nonexistent" },
    "50 failed to load flannel 'subnet.env' file: Cannot open /nonexistent: no such file or directory (ENOENT). Check the flannel pod log for this node.",
  ],
  [{ delegate: { name: "x" } }, "50 'delegate' dictionary must not have 'name' field, it'll be set by flannel"],
  [{ delegate: { type: "nowhere" } }, '50 failed to find plugin "nowhere" in path [/nonexistent]'],
  [{ ipam: { type: "nowhere" } }, '50 failed to find plugin "nowhere" in path [/nonexistent]'],
  [
    { delegate: { mtu: "x" } },
    '50 failed to load netconf: Cannot read "mtu": it must be a whole number, and is the string "x"',
  ],
  [{ delegate: { vlan: -1 } }, "50 invalid VLAN ID -1 (must be between 0 and 4094)"],
  [
    { ipam: { routes: [{}] } },
    '50 failed to assemble Delegate IPAM: failed to read IPAM routes: failed to parse ipam.routes: Cannot read "routes[0].dst": it must be an address with a prefix length, and is absent',
  ],
  [{ inProcess: false }, '50 failed to find plugin "bridge" in path [/nonexistent]'],
];

/** Wrong configurations of flannel. */
export const wrongFlannels: readonly WrongInput[] = [
  ...added.map(([members, error]) => ({ plugin: "flannel", stdin: { ...config, ...members }, subnetEnv, error })),
  ...asked.map(([members, error]) => ({
    plugin: "flannel",
    environment: { CNI_COMMAND: "STATUS" },
    stdin: { ...config, ...members },
    subnetEnv,
    error,
  })),
];

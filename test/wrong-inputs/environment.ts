/** What is wrong with the variables that a runtime sets, whatever the configuration. */
import type { Environment } from "../../src/cni/environment.ts";
import type { WrongInput } from "./input.ts";

const stdin = { cniVersion: "1.1.0", name: "lo", type: "loopback" };
const addressed = { cniVersion: "1.1.0", name: "n", type: "host-local", ipam: { subnet: "10.1.2.0/24" } };
const bridged = { cniVersion: "1.1.0", name: "n", type: "bridge" };

/** The verb, the variables that are not as they should be, and the error. */
const calls: readonly (readonly [string, Environment, string])[] = [
  [
    "ADD",
    { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_PATH: "" },
    "4 required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing",
  ],
  [
    "CHECK",
    { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_PATH: "" },
    "4 required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing",
  ],
  [
    "DEL",
    { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_PATH: "" },
    "4 required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing",
  ],
  [
    "GC",
    { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_PATH: "" },
    "4 required env variables [CNI_PATH] missing",
  ],
  [
    "STATUS",
    { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_PATH: "" },
    "4 required env variables [CNI_PATH] missing",
  ],
  ["ADD", { CNI_CONTAINERID: "" }, "4 required env variables [CNI_CONTAINERID] missing"],
  ["ADD", { CNI_NETNS: "" }, "4 required env variables [CNI_NETNS] missing"],
  ["ADD", { CNI_IFNAME: "" }, "4 required env variables [CNI_IFNAME] missing"],
  ["ADD", { CNI_PATH: "" }, "4 required env variables [CNI_PATH] missing"],
  ["CHECK", { CNI_CONTAINERID: "" }, "4 required env variables [CNI_CONTAINERID] missing"],
  ["CHECK", { CNI_NETNS: "" }, "4 required env variables [CNI_NETNS] missing"],
  ["CHECK", { CNI_IFNAME: "" }, "4 required env variables [CNI_IFNAME] missing"],
  ["CHECK", { CNI_PATH: "" }, "4 required env variables [CNI_PATH] missing"],
  ["DEL", { CNI_CONTAINERID: "" }, "4 required env variables [CNI_CONTAINERID] missing"],
  ["DEL", { CNI_IFNAME: "" }, "4 required env variables [CNI_IFNAME] missing"],
  ["DEL", { CNI_PATH: "" }, "4 required env variables [CNI_PATH] missing"],
  ["GC", { CNI_PATH: "" }, "4 required env variables [CNI_PATH] missing"],
  ["STATUS", { CNI_PATH: "" }, "4 required env variables [CNI_PATH] missing"],
  ["MAKE", {}, "4 unknown CNI_COMMAND: MAKE"],
  ["add", {}, "4 unknown CNI_COMMAND: add"],
  ["ADD ", {}, "4 unknown CNI_COMMAND: ADD "],
  ["ADDEL", {}, "4 unknown CNI_COMMAND: ADDEL"],
  ["version", {}, "4 unknown CNI_COMMAND: version"],
  ["MAKE", { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_PATH: "" }, "4 unknown CNI_COMMAND: MAKE"],
  ["ADD", { CNI_CONTAINERID: "-a" }, "4 invalid characters in containerID | -a"],
  ["ADD", { CNI_CONTAINERID: "_a" }, "4 invalid characters in containerID | _a"],
  ["ADD", { CNI_CONTAINERID: "." }, "4 invalid characters in containerID | ."],
  ["ADD", { CNI_CONTAINERID: ".." }, "4 invalid characters in containerID | .."],
  ["ADD", { CNI_CONTAINERID: "a/b" }, "4 invalid characters in containerID | a/b"],
  ["ADD", { CNI_CONTAINERID: "a b" }, "4 invalid characters in containerID | a b"],
  ["ADD", { CNI_CONTAINERID: "a:b" }, "4 invalid characters in containerID | a:b"],
  ["ADD", { CNI_CONTAINERID: "a\n" }, "4 invalid characters in containerID | a\n"],
  ["ADD", { CNI_CONTAINERID: "ä" }, "4 invalid characters in containerID | ä"],
  ["ADD", { CNI_CONTAINERID: "../../etc" }, "4 invalid characters in containerID | ../../etc"],
  ["DEL", { CNI_CONTAINERID: "a/b" }, "4 invalid characters in containerID | a/b"],
  ["CHECK", { CNI_CONTAINERID: "a/b" }, "4 invalid characters in containerID | a/b"],
  [
    "ADD",
    { CNI_IFNAME: "abcdefghijklmnop" },
    "4 interface name is too long | interface name should be less than 16 characters",
  ],
  [
    "ADD",
    { CNI_IFNAME: "üüüüüüüü" },
    "4 interface name is too long | interface name should be less than 16 characters",
  ],
  ["ADD", { CNI_IFNAME: "." }, "4 interface name is . or .."],
  ["ADD", { CNI_IFNAME: ".." }, "4 interface name is . or .."],
  ["ADD", { CNI_IFNAME: "a/b" }, "4 interface name contains / or : or whitespace characters"],
  ["ADD", { CNI_IFNAME: "a:b" }, "4 interface name contains / or : or whitespace characters"],
  ["ADD", { CNI_IFNAME: "a b" }, "4 interface name contains / or : or whitespace characters"],
  ["ADD", { CNI_IFNAME: "a\tb" }, "4 interface name contains / or : or whitespace characters"],
  ["ADD", { CNI_IFNAME: "a b" }, "4 interface name contains / or : or whitespace characters"],
  ["ADD", { CNI_IFNAME: "a b" }, "4 interface name contains / or : or whitespace characters"],
  ["DEL", { CNI_IFNAME: "a/b" }, "4 interface name contains / or : or whitespace characters"],
  ["CHECK", { CNI_IFNAME: ".." }, "4 interface name is . or .."],
  ["ADD", { CNI_CONTAINERID: "", CNI_IFNAME: "a/b" }, "4 interface name contains / or : or whitespace characters"],
  ["ADD", { CNI_CONTAINERID: "a/b", CNI_PATH: "" }, "4 invalid characters in containerID | a/b"],
  ["ADD", { CNI_NETNS: "/proc/self/ns/net" }, "8 plugin's netns and netns from CNI_NETNS should not be the same"],
  ["DEL", { CNI_NETNS: "/proc/self/ns/net" }, "8 plugin's netns and netns from CNI_NETNS should not be the same"],
  [
    "ADD",
    { CNI_NETNS: "/proc/self/ns/net", CNI_NETNS_OVERRIDE: "yes" },
    "8 plugin's netns and netns from CNI_NETNS should not be the same",
  ],
  ["ADD", {}, '999 failed to Statfs "/nonexistent": no such file or directory'],
  ["CHECK", {}, '999 failed to Statfs "/nonexistent": no such file or directory'],
];

/** CNI_ARGS for a plugin that knows `IP`. */
const addressArguments: readonly (readonly [string, string])[] = [
  ["A", '4 ARGS: invalid pair "A"'],
  [";", '4 ARGS: invalid pair ""'],
  ["=", '4 ARGS: unknown args ["="]'],
  ["A=B=C", '4 ARGS: invalid pair "A=B=C"'],
  ["IP", '4 ARGS: invalid pair "IP"'],
  ["IP=bad", '4 ARGS: error parsing value of pair "IP=bad": invalid IP address bad'],
  ["IP=10.1.2.3/33", '4 ARGS: error parsing value of pair "IP=10.1.2.3/33": invalid IP address 10.1.2.3/33'],
  ["IP=10.1.2.3;X=1", '4 ARGS: unknown args ["X=1"]'],
  ["ip=10.1.2.3", '4 ARGS: unknown args ["ip=10.1.2.3"]'],
  [
    "IgnoreUnknown=maybe",
    '4 ARGS: error parsing value of pair "IgnoreUnknown=maybe": boolean unmarshal error: invalid input maybe',
  ],
  ["IgnoreUnknown=0;X=1", '4 ARGS: unknown args ["X=1"]'],
  ["IgnoreUnknown=1;X", '4 ARGS: invalid pair "X"'],
  ["X=1;Y=2", '4 ARGS: unknown args ["X=1" "Y=2"]'],
  ["IP=10.1.2.300", '4 ARGS: error parsing value of pair "IP=10.1.2.300": invalid IP address 10.1.2.300'],
  ["IP=::1%eth0", '4 ARGS: error parsing value of pair "IP=::1%eth0": invalid IP address ::1%eth0'],
];

/** CNI_ARGS for a plugin that knows `MAC`. */
const macArguments: readonly (readonly [string, string])[] = [
  ["MAC=zz", "7 address zz: invalid MAC address"],
  ["MAC=02:00:00:00:00", "7 address 02:00:00:00:00: invalid MAC address"],
  ["MAC=02:00:00:00:00:00:00", "7 address 02:00:00:00:00:00:00: invalid MAC address"],
  ["mac=02:00:00:00:00:01", '4 ARGS: unknown args ["mac=02:00:00:00:00:01"]'],
  ["MAC", '4 ARGS: invalid pair "MAC"'],
];

/** Wrong environments. */
export const wrongEnvironments: readonly WrongInput[] = [
  ...calls.map(([command, changes, error]) => ({
    plugin: "loopback",
    environment: { ...changes, CNI_COMMAND: command },
    stdin,
    error,
  })),
  ...addressArguments.map(([text, error]) => ({
    plugin: "host-local",
    environment: { CNI_ARGS: text },
    stdin: addressed,
    error,
  })),
  ...macArguments.map(([text, error]) => ({
    plugin: "bridge",
    environment: { CNI_ARGS: text },
    stdin: bridged,
    error,
  })),
];

/** What is wrong with the keys of the bridge plugin. */
import type { JsonObject } from "../../src/base/decode.ts";
import type { WrongInput } from "./input.ts";

const config = { cniVersion: "1.1.0", name: "n", type: "bridge" };

/** What ADD says. */
const added: readonly (readonly [JsonObject, string])[] = [
  [{ bridge: 5 }, '7 failed to load netconf: Cannot read "bridge": it must be a string, and is the number 5'],
  [{ bridge: true }, '7 failed to load netconf: Cannot read "bridge": it must be a string, and is the boolean true'],
  [{ bridge: ["cni0"] }, '7 failed to load netconf: Cannot read "bridge": it must be a string, and is a list'],
  [
    { isGateway: "true" },
    '7 failed to load netconf: Cannot read "isGateway": it must be true or false, and is the string "true"',
  ],
  [
    { isGateway: 1 },
    '7 failed to load netconf: Cannot read "isGateway": it must be true or false, and is the number 1',
  ],
  [
    { isDefaultGateway: "yes" },
    '7 failed to load netconf: Cannot read "isDefaultGateway": it must be true or false, and is the string "yes"',
  ],
  [
    { isDefaultGateway: {} },
    '7 failed to load netconf: Cannot read "isDefaultGateway": it must be true or false, and is an object',
  ],
  [
    { forceAddress: 0 },
    '7 failed to load netconf: Cannot read "forceAddress": it must be true or false, and is the number 0',
  ],
  [
    { forceAddress: "" },
    '7 failed to load netconf: Cannot read "forceAddress": it must be true or false, and is the string ""',
  ],
  [
    { ipMasq: "false" },
    '7 failed to load netconf: Cannot read "ipMasq": it must be true or false, and is the string "false"',
  ],
  [{ ipMasq: 1 }, '7 failed to load netconf: Cannot read "ipMasq": it must be true or false, and is the number 1'],
  [
    { hairpinMode: "on" },
    '7 failed to load netconf: Cannot read "hairpinMode": it must be true or false, and is the string "on"',
  ],
  [{ hairpinMode: [] }, '7 failed to load netconf: Cannot read "hairpinMode": it must be true or false, and is a list'],
  [{ mtu: "1450" }, '7 failed to load netconf: Cannot read "mtu": it must be a whole number, and is the string "1450"'],
  [{ mtu: true }, '7 failed to load netconf: Cannot read "mtu": it must be a whole number, and is the boolean true'],
  [{ mtu: 1450.5 }, '7 failed to load netconf: Cannot read "mtu": it must be a whole number, and is the number 1450.5'],
  [{ mtu: -1.5 }, '7 failed to load netconf: Cannot read "mtu": it must be a whole number, and is the number -1.5'],
  [{ mtu: 65536 }, '7 failed to load netconf: Cannot read "mtu": 65536 is not between 0 and 65535'],
  [{ mtu: 1e21 }, '7 failed to load netconf: Cannot read "mtu": 1e+21 is not between 0 and 65535'],
  [{ mtu: [1450] }, '7 failed to load netconf: Cannot read "mtu": it must be a whole number, and is a list'],
  [{ MTU: "x" }, '7 failed to load netconf: Cannot read "mtu": it must be a whole number, and is the string "x"'],
  [{ ipam: 5 }, '7 failed to load netconf: Cannot read "ipam": it must be an object, and is the number 5'],
  [
    { ipam: "host-local" },
    '7 failed to load netconf: Cannot read "ipam": it must be an object, and is the string "host-local"',
  ],
  [{ ipam: [] }, '7 failed to load netconf: Cannot read "ipam": it must be an object, and is a list'],
  [
    { ipam: { type: 5 } },
    '7 failed to load netconf: Cannot read "ipam.type": it must be a string, and is the number 5',
  ],
  [
    { ipam: { type: ["host-local"] } },
    '7 failed to load netconf: Cannot read "ipam.type": it must be a string, and is a list',
  ],
  [{ dns: 5 }, '7 failed to load netconf: Cannot read "dns": it must be an object, and is the number 5'],
  [{ dns: [] }, '7 failed to load netconf: Cannot read "dns": it must be an object, and is a list'],
  [
    { dns: { nameservers: "10.0.0.1" } },
    '7 failed to load netconf: Cannot read "dns.nameservers": it must be a list, and is the string "10.0.0.1"',
  ],
  [
    { dns: { nameservers: [5] } },
    '7 failed to load netconf: Cannot read "dns.nameservers[0]": it must be a string, and is the number 5',
  ],
  [
    { dns: { domain: ["a"] } },
    '7 failed to load netconf: Cannot read "dns.domain": it must be a string, and is a list',
  ],
  [
    { dns: { search: "a" } },
    '7 failed to load netconf: Cannot read "dns.search": it must be a list, and is the string "a"',
  ],
  [
    { dns: { search: [{}] } },
    '7 failed to load netconf: Cannot read "dns.search[0]": it must be a string, and is an object',
  ],
  [
    { dns: { options: {} } },
    '7 failed to load netconf: Cannot read "dns.options": it must be a list, and is an object',
  ],
  [{ vlan: "100" }, '7 failed to load netconf: Cannot read "vlan": it must be a whole number, and is the string "100"'],
  [{ vlan: 1.5 }, '7 failed to load netconf: Cannot read "vlan": it must be a whole number, and is the number 1.5'],
  [{ vlan: -1 }, "7 invalid VLAN ID -1 (must be between 0 and 4094)"],
  [{ vlan: -100 }, "7 invalid VLAN ID -100 (must be between 0 and 4094)"],
  [{ vlan: 4095 }, "7 invalid VLAN ID 4095 (must be between 0 and 4094)"],
  [{ vlan: 5000 }, "7 invalid VLAN ID 5000 (must be between 0 and 4094)"],
  [{ vlan: {} }, '7 failed to load netconf: Cannot read "vlan": it must be a whole number, and is an object'],
  [{ VLAN: 4095 }, "7 invalid VLAN ID 4095 (must be between 0 and 4094)"],
  [{ vlanTrunk: 5 }, '7 failed to load netconf: Cannot read "vlanTrunk": it must be a list, and is the number 5'],
  [{ vlanTrunk: {} }, '7 failed to load netconf: Cannot read "vlanTrunk": it must be a list, and is an object'],
  [
    { vlanTrunk: [5] },
    '7 failed to load netconf: Cannot read "vlanTrunk[0]": it must be an object, and is the number 5',
  ],
  [
    { vlanTrunk: [{ id: "7" }] },
    '7 failed to load netconf: Cannot read "vlanTrunk[0].id": it must be a whole number, and is the string "7"',
  ],
  [{ vlanTrunk: [{ id: 0 }] }, "7 incorrect trunk id parameter"],
  [{ vlanTrunk: [{ id: -1 }] }, "7 incorrect trunk id parameter"],
  [{ vlanTrunk: [{ id: 4095 }] }, "7 incorrect trunk id parameter"],
  [
    { vlanTrunk: [{ id: 1.5 }] },
    '7 failed to load netconf: Cannot read "vlanTrunk[0].id": it must be a whole number, and is the number 1.5',
  ],
  [{ vlanTrunk: [{ minID: 1 }] }, "7 minID and maxID should be configured simultaneously, maxID is missing"],
  [{ vlanTrunk: [{ maxID: 1 }] }, "7 minID and maxID should be configured simultaneously, minID is missing"],
  [{ vlanTrunk: [{ minID: 0, maxID: 5 }] }, "7 incorrect trunk minID parameter"],
  [{ vlanTrunk: [{ minID: 4095, maxID: 4095 }] }, "7 incorrect trunk minID parameter"],
  [{ vlanTrunk: [{ minID: 1, maxID: 0 }] }, "7 incorrect trunk maxID parameter"],
  [{ vlanTrunk: [{ minID: 1, maxID: 4095 }] }, "7 incorrect trunk maxID parameter"],
  [{ vlanTrunk: [{ minID: 6, maxID: 5 }] }, "7 minID is greater than maxID in trunk parameter"],
  [
    { vlanTrunk: [{ minID: "1", maxID: 5 }] },
    '7 failed to load netconf: Cannot read "vlanTrunk[0].minID": it must be a whole number, and is the string "1"',
  ],
  [
    { vlanTrunk: [{ minID: 1, maxID: [] }] },
    '7 failed to load netconf: Cannot read "vlanTrunk[0].maxID": it must be a whole number, and is a list',
  ],
  [{ vlanTrunk: [{ id: 7 }, { id: 5000 }] }, "7 incorrect trunk id parameter"],
  [
    { preserveDefaultVlan: 1 },
    '7 failed to load netconf: Cannot read "preserveDefaultVlan": it must be true or false, and is the number 1',
  ],
  [
    { preserveDefaultVlan: "true" },
    '7 failed to load netconf: Cannot read "preserveDefaultVlan": it must be true or false, and is the string "true"',
  ],
  [
    { portIsolation: "x" },
    '7 failed to load netconf: Cannot read "portIsolation": it must be true or false, and is the string "x"',
  ],
  [
    { portIsolation: 0 },
    '7 failed to load netconf: Cannot read "portIsolation": it must be true or false, and is the number 0',
  ],
  [
    { promiscMode: 1 },
    '7 failed to load netconf: Cannot read "promiscMode": it must be true or false, and is the number 1',
  ],
  [
    { promiscMode: "x" },
    '7 failed to load netconf: Cannot read "promiscMode": it must be true or false, and is the string "x"',
  ],
  [
    { enabledad: 1 },
    '7 failed to load netconf: Cannot read "enabledad": it must be true or false, and is the number 1',
  ],
  [{ enabledad: [] }, '7 failed to load netconf: Cannot read "enabledad": it must be true or false, and is a list'],
  [
    { disableContainerInterface: "x" },
    '7 failed to load netconf: Cannot read "disableContainerInterface": it must be true or false, and is the string "x"',
  ],
  [
    { disableContainerInterface: 5 },
    '7 failed to load netconf: Cannot read "disableContainerInterface": it must be true or false, and is the number 5',
  ],
  [
    { macspoofchk: "x" },
    '7 failed to load netconf: Cannot read "macspoofchk": it must be true or false, and is the string "x"',
  ],
  [
    { macspoofchk: 1 },
    '7 failed to load netconf: Cannot read "macspoofchk": it must be true or false, and is the number 1',
  ],
  [
    { ipMasqBackend: 5 },
    '7 failed to load netconf: Cannot read "ipMasqBackend": it must be a string, and is the number 5',
  ],
  [
    { ipMasqBackend: {} },
    '7 failed to load netconf: Cannot read "ipMasqBackend": it must be a string, and is an object',
  ],
  [{ hairpinMode: true, promiscMode: true }, "7 cannot set hairpin mode and promiscuous mode at the same time"],
  [
    { ipam: { type: "host-local" }, disableContainerInterface: true },
    "7 cannot use IPAM when DisableContainerInterface flag is set",
  ],
  [{ args: 5 }, '7 failed to load netconf: Cannot read "args": it must be an object, and is the number 5'],
  [{ args: { cni: 5 } }, '7 failed to load netconf: Cannot read "args.cni": it must be an object, and is the number 5'],
  [
    { args: { cni: { mac: 5 } } },
    '7 failed to load netconf: Cannot read "args.cni.mac": it must be a string, and is the number 5',
  ],
  [{ args: { cni: { mac: "zz" } } }, "7 address zz: invalid MAC address"],
  [{ args: { cni: { mac: "02:00:00:00:00" } } }, "7 address 02:00:00:00:00: invalid MAC address"],
  [
    { runtimeConfig: 5 },
    '7 failed to load netconf: Cannot read "runtimeConfig": it must be an object, and is the number 5',
  ],
  [{ runtimeConfig: [] }, '7 failed to load netconf: Cannot read "runtimeConfig": it must be an object, and is a list'],
  [
    { runtimeConfig: { mac: 5 } },
    '7 failed to load netconf: Cannot read "runtimeConfig.mac": it must be a string, and is the number 5',
  ],
  [{ runtimeConfig: { mac: "02:00:00:00:00:0g" } }, "7 address 02:00:00:00:00:0g: invalid MAC address"],
  [{ runtimeConfig: { mac: "0200.0000.000" } }, "7 address 0200.0000.000: invalid MAC address"],
  [{ type: 5 }, '7 Cannot read "type": it must be a string, and is the number 5'],
  [{ ipam: { type: "bridge" } }, '7 plugin "bridge" is no IPAM plugin: it gives out no addresses'],
  [{ ipam: { type: "flannel" } }, '7 plugin "flannel" is no IPAM plugin: it gives out no addresses'],
  [{ ipam: { type: "loopback" } }, '7 plugin "loopback" is no IPAM plugin: it gives out no addresses'],
  [{ ipam: { type: "portmap" } }, '7 plugin "portmap" is no IPAM plugin: it gives out no addresses'],
];

/** What STATUS says, also of the plugin that gives out the addresses. */
const asked: readonly (readonly [JsonObject, string])[] = [
  [{ vlan: 5000 }, "50 invalid VLAN ID 5000 (must be between 0 and 4094)"],
  [{ mtu: "x" }, '50 failed to load netconf: Cannot read "mtu": it must be a whole number, and is the string "x"'],
  [{ ipam: { type: "nowhere" } }, '50 failed to find plugin "nowhere" in path [/nonexistent]'],
  [{ ipam: { type: "a/b" } }, "50 invalid plugin name: a/b"],
  [{ ipam: { type: "host-local" } }, "50 no IP ranges specified"],
  [
    { ipam: { type: "host-local", subnet: "10.1.2.3/24" } },
    "50 invalid range set 0: Network has host bits set. For a subnet mask of length 24 the network address is 10.1.2.0",
  ],
  [
    { ipam: { type: "host-local", subnet: "10.1.2.0/24", resolvConf: "/nonexistent" } },
    "50 Cannot open /nonexistent: no such file or directory (ENOENT)",
  ],
  [
    { ipam: { type: "host-local", subnet: "10.1.2.0/24" }, inProcess: false },
    '50 failed to find plugin "host-local" in path [/nonexistent]',
  ],
  [
    { ipam: { type: "host-local", subnet: "10.1.2.0/24" }, inProcess: "no" },
    '50 Cannot read "inProcess": it must be true or false, and is the string "no"',
  ],
];

/** Wrong configurations of bridge. */
export const wrongBridges: readonly WrongInput[] = [
  ...added.map(([members, error]) => ({ plugin: "bridge", stdin: { ...config, ...members }, error })),
  ...asked.map(([members, error]) => ({
    plugin: "bridge",
    environment: { CNI_COMMAND: "STATUS" },
    stdin: { ...config, ...members },
    error,
  })),
];

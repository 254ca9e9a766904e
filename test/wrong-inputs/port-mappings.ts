/** What is wrong with the mappings that a runtime hands to portmap, and to flannel, which maps them itself. */
import type { JsonObject } from "../../src/base/decode.ts";
import { inputOf, type WrongCall } from "./call.ts";
import type { WrongInput } from "./input.ts";

const prevResult = { cniVersion: "1.1.0", ips: [{ address: "10.1.2.3/24" }] };

/** What portmap says on ADD. */
const added: readonly (readonly [JsonObject, string])[] = [
  [
    { runtimeConfig: 5 },
    '7 failed to parse config: Cannot read "runtimeConfig": it must be an object, and is the number 5',
  ],
  [{ runtimeConfig: [] }, '7 failed to parse config: Cannot read "runtimeConfig": it must be an object, and is a list'],
  [
    { runtimeConfig: "x" },
    '7 failed to parse config: Cannot read "runtimeConfig": it must be an object, and is the string "x"',
  ],
  [
    { runtimeConfig: { portMappings: 5 } },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings": it must be a list, and is the number 5',
  ],
  [
    { runtimeConfig: { portMappings: {} } },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings": it must be a list, and is an object',
  ],
  [
    { runtimeConfig: { portMappings: "8080:80" } },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings": it must be a list, and is the string "8080:80"',
  ],
  [
    { runtimeConfig: { portMappings: true } },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings": it must be a list, and is the boolean true',
  ],
  [
    { runtimeConfig: { portMappings: [5] } },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0]": it must be an object, and is the number 5',
  ],
  [{ runtimeConfig: { portMappings: [null] } }, "7 failed to parse config: Invalid container port number: 0"],
  [
    { runtimeConfig: { portMappings: ["8080:80"] } },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0]": it must be an object, and is the string "8080:80"',
  ],
  [
    { runtimeConfig: { portMappings: [[]] } },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0]": it must be an object, and is a list',
  ],
  [{ runtimeConfig: { portMappings: [{}] } }, "7 failed to parse config: Invalid container port number: 0"],
  [
    { runtimeConfig: { portMappings: [{ hostPort: 1, containerPort: 1 }] } },
    '7 failed to parse config: Invalid protocol: "" (must be tcp, udp or sctp)',
  ],
  [
    {
      runtimeConfig: {
        portMappings: [
          { hostPort: 8080, containerPort: 80, protocol: "tcp" },
          { hostPort: 0, containerPort: 80, protocol: "tcp" },
        ],
      },
    },
    "7 failed to parse config: Invalid host port number: 0",
  ],
  [
    {
      runtimeConfig: {
        portMappings: [
          { hostPort: 8080, containerPort: 80, protocol: "tcp" },
          { hostPort: 8080, containerPort: 81, protocol: "tcp" },
        ],
      },
    },
    "7 failed to parse config: host port 8080/tcp is mapped to two container ports",
  ],
  [
    {
      runtimeConfig: {
        portMappings: [
          { hostPort: 8080, containerPort: 80, protocol: "tcp" },
          { hostPort: 8080, containerPort: 81, protocol: "TCP" },
        ],
      },
    },
    "7 failed to parse config: host port 8080/tcp is mapped to two container ports",
  ],
  [
    {
      runtimeConfig: {
        portMappings: [
          { hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "10.0.0.1" },
          { hostPort: 8080, containerPort: 81, protocol: "tcp", hostIP: "10.0.0.1" },
        ],
      },
    },
    "7 failed to parse config: host port 10.0.0.1:8080/tcp is mapped to two container ports",
  ],
  [
    {
      runtimeConfig: {
        portMappings: [
          { hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "0.0.0.0" },
          { hostPort: 8080, containerPort: 81, protocol: "tcp" },
        ],
      },
    },
    "7 failed to parse config: host port 8080/tcp is mapped to two container ports",
  ],
  [
    { prevResult: null, runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] } },
    "999 must be called as chained plugin",
  ],
];

/** What portmap says of one mapping, of which all else is right. */
const mapped: readonly (readonly [JsonObject, string])[] = [
  [{ hostPort: 0 }, "7 failed to parse config: Invalid host port number: 0"],
  [{ hostPort: -1 }, "7 failed to parse config: Invalid host port number: -1"],
  [{ hostPort: 65536 }, "7 failed to parse config: Invalid host port number: 65536"],
  [
    { hostPort: 1.5 },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].hostPort": it must be a whole number, and is the number 1.5',
  ],
  [
    { hostPort: "8080" },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].hostPort": it must be a whole number, and is the string "8080"',
  ],
  [
    { hostPort: true },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].hostPort": it must be a whole number, and is the boolean true',
  ],
  [{ hostPort: null }, "7 failed to parse config: Invalid host port number: 0"],
  [
    { hostPort: [8080] },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].hostPort": it must be a whole number, and is a list',
  ],
  [
    { hostPort: 1e21 },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].hostPort": 1e+21 is not between -9007199254740991 and 9007199254740991',
  ],
  [{ containerPort: 0 }, "7 failed to parse config: Invalid container port number: 0"],
  [{ containerPort: -80 }, "7 failed to parse config: Invalid container port number: -80"],
  [{ containerPort: 65536 }, "7 failed to parse config: Invalid container port number: 65536"],
  [
    { containerPort: 80.5 },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].containerPort": it must be a whole number, and is the number 80.5',
  ],
  [
    { containerPort: "80" },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].containerPort": it must be a whole number, and is the string "80"',
  ],
  [
    { containerPort: "http" },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].containerPort": it must be a whole number, and is the string "http"',
  ],
  [
    { containerPort: {} },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].containerPort": it must be a whole number, and is an object',
  ],
  [{ containerPort: null }, "7 failed to parse config: Invalid container port number: 0"],
  [{ protocol: "" }, '7 failed to parse config: Invalid protocol: "" (must be tcp, udp or sctp)'],
  [{ protocol: "icmp" }, '7 failed to parse config: Invalid protocol: "icmp" (must be tcp, udp or sctp)'],
  [{ protocol: "tcp " }, '7 failed to parse config: Invalid protocol: "tcp " (must be tcp, udp or sctp)'],
  [{ protocol: "tcp,udp" }, '7 failed to parse config: Invalid protocol: "tcp,udp" (must be tcp, udp or sctp)'],
  [
    { protocol: 6 },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].protocol": it must be a string, and is the number 6',
  ],
  [{ protocol: null }, '7 failed to parse config: Invalid protocol: "" (must be tcp, udp or sctp)'],
  [
    { protocol: ["tcp"] },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].protocol": it must be a string, and is a list',
  ],
  [{ protocol: "6" }, '7 failed to parse config: Invalid protocol: "6" (must be tcp, udp or sctp)'],
  [{ protocol: "dccp" }, '7 failed to parse config: Invalid protocol: "dccp" (must be tcp, udp or sctp)'],
  [{ hostIP: "x" }, '7 failed to parse config: Invalid host IP: "x"'],
  [{ hostIP: "10.0.0.0/8" }, '7 failed to parse config: Invalid host IP: "10.0.0.0/8"'],
  [{ hostIP: "10.0.0.300" }, '7 failed to parse config: Invalid host IP: "10.0.0.300"'],
  [{ hostIP: "010.0.0.1" }, '7 failed to parse config: Invalid host IP: "010.0.0.1"'],
  [{ hostIP: "fe80::1%eth0" }, '7 failed to parse config: Invalid host IP: "fe80::1%eth0"'],
  [{ hostIP: "localhost" }, '7 failed to parse config: Invalid host IP: "localhost"'],
  [
    { hostIP: 5 },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].hostIP": it must be a string, and is the number 5',
  ],
  [
    { hostIP: {} },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings[0].hostIP": it must be a string, and is an object',
  ],
  [{ hostIP: " 10.0.0.1" }, '7 failed to parse config: Invalid host IP: " 10.0.0.1"'],
  [{ hostIP: "[::1]" }, '7 failed to parse config: Invalid host IP: "[::1]"'],
];

const fused: readonly WrongCall[] = [
  [
    "flannel",
    "STATUS",
    { capabilities: { portMappings: true }, markMasqBit: 40 },
    "50 failed to parse config: MasqMarkBit must be between 0 and 31",
  ],
  [
    "flannel",
    "STATUS",
    { capabilities: { portMappings: true }, backend: "x" },
    '50 failed to parse config: unrecognized backend "x"',
  ],
  [
    "flannel",
    "STATUS",
    { capabilities: { portMappings: true }, externalSetMarkChain: "X" },
    '50 unsupported field "externalSetMarkChain": host ports are in a table of their own, which cannot jump to a chain of another; set markMasqBit to the bit of the mark that the chain sets instead ("markMasqBit": 14 is kube-proxy\'s)',
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: [{ hostPort: 0, containerPort: 80, protocol: "tcp" }] } },
    "7 failed to parse config: Invalid host port number: 0",
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 70000, protocol: "tcp" }] } },
    "7 failed to parse config: Invalid container port number: 70000",
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "x" }] } },
    '7 failed to parse config: Invalid protocol: "x" (must be tcp, udp or sctp)',
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "x" }] } },
    '7 failed to parse config: Invalid host IP: "x"',
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: {} } },
    '7 failed to parse config: Cannot read "runtimeConfig.portMappings": it must be a list, and is an object',
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] }, markMasqBit: 40 },
    "7 failed to parse config: MasqMarkBit must be between 0 and 31",
  ],
  [
    "flannel",
    "ADD",
    {
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
      externalSetMarkChain: "X",
    },
    '2 unsupported field "externalSetMarkChain": host ports are in a table of their own, which cannot jump to a chain of another; set markMasqBit to the bit of the mark that the chain sets instead ("markMasqBit": 14 is kube-proxy\'s)',
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] }, conditionsV4: ["-s"] },
    '2 unsupported field "conditionsV4": host ports are looked up in maps, without further conditions; map a port of one address with hostIP instead',
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] }, backend: "x" },
    '7 failed to parse config: unrecognized backend "x"',
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] }, snat: 3 },
    '7 failed to parse config: Cannot read "snat": it must be true or false, and is the number 3',
  ],
  [
    "flannel",
    "ADD",
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] }, masqAll: "x" },
    '7 failed to parse config: Cannot read "masqAll": it must be true or false, and is the string "x"',
  ],
];

/** Wrong mappings. */
export const wrongPortMappings: readonly WrongInput[] = [
  ...added.map(([members, error]) => inputOf(["portmap", "ADD", { prevResult, ...members }, error])),
  ...mapped.map(([members, error]) => {
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: "tcp", ...members }];
    return inputOf(["portmap", "ADD", { prevResult, runtimeConfig: { portMappings } }, error]);
  }),
  ...fused.map(inputOf),
];

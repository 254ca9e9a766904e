/** What is wrong with the keys of the portmap plugin. */
import type { JsonObject } from "../../src/base/decode.ts";
import type { WrongInput } from "./input.ts";

const prevResult = { cniVersion: "1.1.0", ips: [{ address: "10.1.2.3/24" }] };
const config = { cniVersion: "1.1.0", name: "n", type: "portmap", prevResult };

/** What ADD says. */
const added: readonly (readonly [JsonObject, string])[] = [
  [
    { snat: "true" },
    '7 failed to parse config: Cannot read "snat": it must be true or false, and is the string "true"',
  ],
  [{ snat: 1 }, '7 failed to parse config: Cannot read "snat": it must be true or false, and is the number 1'],
  [{ snat: {} }, '7 failed to parse config: Cannot read "snat": it must be true or false, and is an object'],
  [{ snat: [] }, '7 failed to parse config: Cannot read "snat": it must be true or false, and is a list'],
  [
    { masqAll: "no" },
    '7 failed to parse config: Cannot read "masqAll": it must be true or false, and is the string "no"',
  ],
  [{ masqAll: 0 }, '7 failed to parse config: Cannot read "masqAll": it must be true or false, and is the number 0'],
  [{ masqAll: [] }, '7 failed to parse config: Cannot read "masqAll": it must be true or false, and is a list'],
  [{ masqAll: {} }, '7 failed to parse config: Cannot read "masqAll": it must be true or false, and is an object'],
  [{ markMasqBit: -1 }, "7 failed to parse config: MasqMarkBit must be between 0 and 31"],
  [{ markMasqBit: 32 }, "7 failed to parse config: MasqMarkBit must be between 0 and 31"],
  [
    { markMasqBit: "13" },
    '7 failed to parse config: Cannot read "markMasqBit": it must be a whole number, and is the string "13"',
  ],
  [
    { markMasqBit: 1.5 },
    '7 failed to parse config: Cannot read "markMasqBit": it must be a whole number, and is the number 1.5',
  ],
  [
    { markMasqBit: true },
    '7 failed to parse config: Cannot read "markMasqBit": it must be a whole number, and is the boolean true',
  ],
  [
    { markMasqBit: [] },
    '7 failed to parse config: Cannot read "markMasqBit": it must be a whole number, and is a list',
  ],
  [{ MARKMASQBIT: 99 }, "7 failed to parse config: MasqMarkBit must be between 0 and 31"],
  [{ markMasqBit: 8192 }, "7 failed to parse config: MasqMarkBit must be between 0 and 31"],
  [
    { externalSetMarkChain: "KUBE-MARK-MASQ" },
    '2 unsupported field "externalSetMarkChain": host ports are in a table of their own, which cannot jump to a chain of another; set markMasqBit to the bit of the mark that the chain sets instead ("markMasqBit": 14 is kube-proxy\'s)',
  ],
  [
    { externalSetMarkChain: "" },
    '2 unsupported field "externalSetMarkChain": host ports are in a table of their own, which cannot jump to a chain of another; set markMasqBit to the bit of the mark that the chain sets instead ("markMasqBit": 14 is kube-proxy\'s)',
  ],
  [
    { externalSetMarkChain: 5 },
    '7 failed to parse config: Cannot read "externalSetMarkChain": it must be a string, and is the number 5',
  ],
  [
    { externalSetMarkChain: [] },
    '7 failed to parse config: Cannot read "externalSetMarkChain": it must be a string, and is a list',
  ],
  [
    { externalSetMarkChain: "X", markMasqBit: 14 },
    "7 failed to parse config: Cannot specify externalSetMarkChain and markMasqBit",
  ],
  [
    { externalSetMarkChain: "X", markMasqBit: 99 },
    "7 failed to parse config: Cannot specify externalSetMarkChain and markMasqBit",
  ],
  [
    { externalSetMarkChain: "X", runtimeConfig: { portMappings: [{}] } },
    '2 unsupported field "externalSetMarkChain": host ports are in a table of their own, which cannot jump to a chain of another; set markMasqBit to the bit of the mark that the chain sets instead ("markMasqBit": 14 is kube-proxy\'s)',
  ],
  [
    { conditionsV4: ["-s", "10.0.0.0/8"] },
    '2 unsupported field "conditionsV4": host ports are looked up in maps, without further conditions; map a port of one address with hostIP instead',
  ],
  [
    { conditionsV6: ["!", "-d", "fd00::/8"] },
    '2 unsupported field "conditionsV6": host ports are looked up in maps, without further conditions; map a port of one address with hostIP instead',
  ],
  [
    { conditionsV4: "-s" },
    '7 failed to parse config: Cannot read "conditionsV4": it must be a list, and is the string "-s"',
  ],
  [{ conditionsV6: 5 }, '7 failed to parse config: Cannot read "conditionsV6": it must be a list, and is the number 5'],
  [{ conditionsV4: {} }, '7 failed to parse config: Cannot read "conditionsV4": it must be a list, and is an object'],
  [
    { conditionsV4: ["ip", "saddr", "10.0.0.0/8"], conditionsV6: ["x"] },
    '2 unsupported field "conditionsV4": host ports are looked up in maps, without further conditions; map a port of one address with hostIP instead',
  ],
  [
    { conditionsV4: [5] },
    '2 unsupported field "conditionsV4": host ports are looked up in maps, without further conditions; map a port of one address with hostIP instead',
  ],
  [
    { conditionsV6: [null] },
    '2 unsupported field "conditionsV6": host ports are looked up in maps, without further conditions; map a port of one address with hostIP instead',
  ],
  [{ backend: "ebtables" }, '7 failed to parse config: unrecognized backend "ebtables"'],
  [{ backend: "" }, '7 failed to parse config: unrecognized backend ""'],
  [{ backend: 5 }, '7 failed to parse config: Cannot read "backend": it must be a string, and is the number 5'],
  [{ backend: "NFTables" }, '7 failed to parse config: unrecognized backend "NFTables"'],
  [{ backend: true }, '7 failed to parse config: Cannot read "backend": it must be a string, and is the boolean true'],
  [{ backend: ["nftables"] }, '7 failed to parse config: Cannot read "backend": it must be a string, and is a list'],
];

/** What CHECK says. */
const checked: readonly (readonly [JsonObject, string])[] = [
  [
    { runtimeConfig: { portMappings: [{ hostPort: 0, containerPort: 80, protocol: "tcp" }] } },
    "7 failed to parse config: Invalid host port number: 0",
  ],
  [{ snat: 1 }, '7 failed to parse config: Cannot read "snat": it must be true or false, and is the number 1'],
  [{ markMasqBit: 32 }, "7 failed to parse config: MasqMarkBit must be between 0 and 31"],
  [
    { externalSetMarkChain: "X" },
    '2 unsupported field "externalSetMarkChain": host ports are in a table of their own, which cannot jump to a chain of another; set markMasqBit to the bit of the mark that the chain sets instead ("markMasqBit": 14 is kube-proxy\'s)',
  ],
  [
    { conditionsV4: ["-s"] },
    '2 unsupported field "conditionsV4": host ports are looked up in maps, without further conditions; map a port of one address with hostIP instead',
  ],
  [{ backend: "x" }, '7 failed to parse config: unrecognized backend "x"'],
  [
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "x" }] } },
    '7 failed to parse config: Invalid protocol: "x" (must be tcp, udp or sctp)',
  ],
  [
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "x" }] } },
    '7 failed to parse config: Invalid host IP: "x"',
  ],
  [{ prevResult: null }, "999 Required prevResult missing"],
  [
    { prevResult: null, runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] } },
    "999 Required prevResult missing",
  ],
  [
    { prevResult: 5 },
    '6 could not parse prevResult: Cannot read "prevResult": it must be an object, and is the number 5',
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
];

/** What STATUS says. */
const asked: readonly (readonly [JsonObject, string])[] = [
  [
    { runtimeConfig: { portMappings: [{ hostPort: 0, containerPort: 80, protocol: "tcp" }] } },
    "50 failed to parse config: Invalid host port number: 0",
  ],
  [{ snat: 1 }, '50 failed to parse config: Cannot read "snat": it must be true or false, and is the number 1'],
  [{ markMasqBit: 32 }, "50 failed to parse config: MasqMarkBit must be between 0 and 31"],
  [
    { externalSetMarkChain: "X" },
    '50 unsupported field "externalSetMarkChain": host ports are in a table of their own, which cannot jump to a chain of another; set markMasqBit to the bit of the mark that the chain sets instead ("markMasqBit": 14 is kube-proxy\'s)',
  ],
  [
    { conditionsV4: ["-s"] },
    '50 unsupported field "conditionsV4": host ports are looked up in maps, without further conditions; map a port of one address with hostIP instead',
  ],
  [{ backend: "x" }, '50 failed to parse config: unrecognized backend "x"'],
  [
    { conditionsV6: 5 },
    '50 failed to parse config: Cannot read "conditionsV6": it must be a list, and is the number 5',
  ],
];

/** Wrong configurations of portmap. */
export const wrongPortmaps: readonly WrongInput[] = [
  ...rows("ADD", added),
  ...rows("CHECK", checked),
  ...rows("STATUS", asked),
];

function rows(command: string, list: typeof added): readonly WrongInput[] {
  return list.map(([members, error]) => ({
    plugin: "portmap",
    environment: { CNI_COMMAND: command },
    stdin: { ...config, ...members },
    error,
  }));
}

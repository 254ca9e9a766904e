/** What is wrong with the text on stdin, and with what every plugin reads of it. */
import type { Json, JsonObject } from "../../src/base/decode.ts";
import type { WrongInput } from "./input.ts";

const loopback = { cniVersion: "1.1.0", name: "lo", type: "loopback" };
const hostLocal = { cniVersion: "1.1.0", name: "n", type: "host-local", ipam: { subnet: "10.1.2.0/24" } };

/** What details of a version that is not in the list end with. */
const supported = 'plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]';

const texts: readonly (readonly [string, string])[] = [
  ["", "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Unexpected EOF"],
  [
    " \n",
    "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Unexpected EOF",
  ],
  ["{", "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Expected '}'"],
  ["{]", "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Expected '}'"],
  [
    "nul",
    '6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Unexpected identifier "nul"',
  ],
  [
    "{} {}",
    "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Unable to parse JSON string",
  ],
  [
    "{'name':'n'}",
    "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Single quotes (') are not allowed in JSON",
  ],
  [
    '{"name":"n",}',
    "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Property name must be a string literal",
  ],
  [
    '{"name":"n" /* x */}',
    "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Unrecognized token '/'",
  ],
  [
    '{"name":"n","mtu":NaN}',
    '6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Unexpected identifier "NaN"',
  ],
  [
    '{"name":"n","mtu":012}',
    "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Expected '}'",
  ],
  [
    '{"name":"n","mtu":+1}',
    "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Unrecognized token '+'",
  ],
  [
    '{"name":"\\x41"}',
    "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Invalid escape character x",
  ],
  [
    '{"name":"a\nb"}',
    "6 error unmarshall network config: Cannot read the document: it is not JSON: JSON Parse error: Unterminated string",
  ],
  ["[]", "6 error unmarshall network config: Cannot read the document: it must be an object, and is a list"],
  [
    '"text"',
    '6 error unmarshall network config: Cannot read the document: it must be an object, and is the string "text"',
  ],
  ["5", "6 error unmarshall network config: Cannot read the document: it must be an object, and is the number 5"],
  [
    "true",
    "6 error unmarshall network config: Cannot read the document: it must be an object, and is the boolean true",
  ],
  ["null", "7 missing network name"],
  ["{}", "7 missing network name"],
  ['{"name":null}', "7 missing network name"],
  ['{"name":""}', "7 missing network name"],
  ['{"name":5}', '6 error unmarshall network config: Cannot read "name": it must be a string, and is the number 5'],
  [
    '{"name":true}',
    '6 error unmarshall network config: Cannot read "name": it must be a string, and is the boolean true',
  ],
  ['{"name":[]}', '6 error unmarshall network config: Cannot read "name": it must be a string, and is a list'],
  ['{"name":{}}', '6 error unmarshall network config: Cannot read "name": it must be a string, and is an object'],
  ['{"name":"n","NAME":""}', "7 missing network name"],
  ['{"name":"n","name":"a b"}', "7 invalid characters found in network name | a b"],
  ['{"NAME":"a/b"}', "7 invalid characters found in network name | a/b"],
  ['{"name":"a b"}', "7 invalid characters found in network name | a b"],
  ['{"name":"../x"}', "7 invalid characters found in network name | ../x"],
  ['{"name":"-x"}', "7 invalid characters found in network name | -x"],
  ['{"name":"a/b"}', "7 invalid characters found in network name | a/b"],
  ['{"name":"ä"}', "7 invalid characters found in network name | ä"],
  ['{"name":"a\\u0000"}', "7 invalid characters found in network name | a\u0000"],
  ['{"name":"a\\nb"}', "7 invalid characters found in network name | a\nb"],
  ['{"name":"\\ud800"}', "7 invalid characters found in network name | \ud800"],
];

/** Versions that ADD refuses. */
const versions: readonly (readonly [Json, string])[] = [
  [5, '6 decoding version from network config: Cannot read "cniVersion": it must be a string, and is the number 5'],
  [
    true,
    '6 decoding version from network config: Cannot read "cniVersion": it must be a string, and is the boolean true',
  ],
  [[], '6 decoding version from network config: Cannot read "cniVersion": it must be a string, and is a list'],
  [{}, '6 decoding version from network config: Cannot read "cniVersion": it must be a string, and is an object'],
  ["0.9.9", `1 incompatible CNI versions | config is "0.9.9", ${supported}`],
  ["0.3", `1 incompatible CNI versions | config is "0.3", ${supported}`],
  ["1.2.0", `1 incompatible CNI versions | config is "1.2.0", ${supported}`],
  ["2.0.0", `1 incompatible CNI versions | config is "2.0.0", ${supported}`],
  ["1.1.0 ", `1 incompatible CNI versions | config is "1.1.0 ", ${supported}`],
  ["v1.0.0", `1 incompatible CNI versions | config is "v1.0.0", ${supported}`],
  ["newest", `1 incompatible CNI versions | config is "newest", ${supported}`],
  ["1.0.0-rc1", `1 incompatible CNI versions | config is "1.0.0-rc1", ${supported}`],
  ["1.0.0.0", `1 incompatible CNI versions | config is "1.0.0.0", ${supported}`],
];

/** Versions that the later verbs refuse; null is none. */
const verbs: readonly (readonly [string, Json, string])[] = [
  ["CHECK", null, "1 config version does not allow CHECK"],
  ["CHECK", "0.3.1", "1 config version does not allow CHECK"],
  ["CHECK", "2.0.0", "1 plugin version does not allow CHECK"],
  ["CHECK", "newest", '6 failed to convert major version part "newest"'],
  ["CHECK", "1.0.0.0", '6 invalid version "1.0.0.0": too many parts'],
  ["CHECK", "0.9.0", `1 incompatible CNI versions | config is "0.9.0", ${supported}`],
  [
    "CHECK",
    5,
    '6 decoding version from network config: Cannot read "cniVersion": it must be a string, and is the number 5',
  ],
  ["GC", null, "1 config version does not allow GC"],
  ["GC", "1.0.0", "1 config version does not allow GC"],
  ["GC", "2.0.0", "1 plugin version does not allow GC"],
  ["GC", "1.1.x", '6 failed to convert micro version part "x"'],
  [
    "GC",
    true,
    '6 decoding version from network config: Cannot read "cniVersion": it must be a string, and is the boolean true',
  ],
  ["STATUS", "0.4.0", "1 config version does not allow STATUS"],
  ["STATUS", "1.0.0", "1 config version does not allow STATUS"],
  ["STATUS", "1.2.0", "1 plugin version does not allow STATUS"],
  ["STATUS", "x.1.0", '6 failed to convert major version part "x"'],
  [
    "STATUS",
    [],
    '6 decoding version from network config: Cannot read "cniVersion": it must be a string, and is a list',
  ],
];

/** Lists that GC refuses. */
const attachments: readonly (readonly [JsonObject, string])[] = [
  [{}, '7 missing "cni.dev/valid-attachments": without the list of what is in use nothing can be freed'],
  [
    { "cni.dev/valid-attachments": 5 },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments": it must be a list, and is the number 5',
  ],
  [
    { "cni.dev/valid-attachments": "x" },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments": it must be a list, and is the string "x"',
  ],
  [
    { "cni.dev/valid-attachments": {} },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments": it must be a list, and is an object',
  ],
  [
    { "cni.dev/valid-attachments": [5] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0]": it must be an object, and is the number 5',
  ],
  [
    { "cni.dev/valid-attachments": ["c1"] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0]": it must be an object, and is the string "c1"',
  ],
  [
    { "cni.dev/valid-attachments": [{}] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0]": it must be an attachment with "containerID" and "ifname", and is an object',
  ],
  [
    { "cni.dev/valid-attachments": [{ containerID: "a" }] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0]": it must be an attachment with "containerID" and "ifname", and is an object',
  ],
  [
    { "cni.dev/valid-attachments": [{ ifname: "eth0" }] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0]": it must be an attachment with "containerID" and "ifname", and is an object',
  ],
  [
    { "cni.dev/valid-attachments": [{ containerID: "", ifname: "eth0" }] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0]": it must be an attachment with "containerID" and "ifname", and is an object',
  ],
  [
    { "cni.dev/valid-attachments": [{ containerID: 5, ifname: "eth0" }] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0].containerID": it must be a string, and is the number 5',
  ],
  [
    { "cni.dev/valid-attachments": [{ containerID: "a", ifname: ["eth0"] }] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0].ifname": it must be a string, and is a list',
  ],
  [
    { "cni.dev/valid-attachments": [null] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0]": it must be an attachment with "containerID" and "ifname", and is absent',
  ],
  [
    { "cni.dev/valid-attachments": [[]] },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/valid-attachments[0]": it must be an object, and is a list',
  ],
  [
    { "cni.dev/attachments": 5 },
    '7 failed to parse the valid attachments: Cannot read "cni.dev/attachments": it must be a list, and is the number 5',
  ],
  [
    { "CNI.DEV/valid-attachments": [] },
    '7 missing "cni.dev/valid-attachments": without the list of what is in use nothing can be freed',
  ],
];

/** Wrong documents. */
export const wrongDocuments: readonly WrongInput[] = [
  ...texts.map(([stdin, error]) => ({ plugin: "loopback", stdin, error })),
  ...versions.map(([cniVersion, error]) => ({ plugin: "loopback", stdin: { ...loopback, cniVersion }, error })),
  ...verbs.map(([command, cniVersion, error]) => ({
    plugin: "loopback",
    environment: { CNI_COMMAND: command },
    stdin: { ...loopback, cniVersion },
    error,
  })),
  ...attachments.map(([members, error]) => ({
    plugin: "host-local",
    environment: { CNI_COMMAND: "GC" },
    stdin: { ...hostLocal, ...members },
    error,
  })),
];

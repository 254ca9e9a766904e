import { expect, test } from "bun:test";

import { formatCidr } from "../../../src/addr/cidr.ts";
import { families, formatIp } from "../../../src/addr/ip.ts";
import { DecodeError } from "../../../src/base/decode.ts";
import { errorText } from "../../../src/base/error.ts";
import { decodeNetworkConfig, type NetworkConfig, parseNetworkConfig } from "../../../src/lease/network-config.ts";

test("parseNetworkConfig() fills in upstream's defaults for IPv4", () => {
  const config = parseNetworkConfig('{ "Network": "10.3.0.0/16" }');
  expect(describeConfig(config)).toBe("10.3.0.0/16: /24 from 10.3.1.0 to 10.3.255.0");
  expect(config.backend.type).toBe("vxlan");
  expect(config.backend.json.absent).toBe(true);
  expect(config.enableNftables).toBe(false);
});

test("parseNetworkConfig() takes length, first and last subnet from the text", () => {
  const text = '{"network":"10.3.0.0/16","subnetMin":"10.3.5.0","subnetMax":"10.3.8.0","subnetLen":28}';
  expect(describeConfig(parseNetworkConfig(text))).toBe("10.3.0.0/16: /28 from 10.3.5.0 to 10.3.8.0");
});

test("decodeNetworkConfig() fills in upstream's defaults for IPv6", () => {
  const config = decodeNetworkConfig('{"EnableIPv4":false,"enableIPv6":true,"ipv6Network":"fc00::/48"}');
  expect(describeConfig(config)).toBe("fc00::/48: /64 from fc00:0:0:1:: to fc00:0:0:ffff::");
});

test("decodeNetworkConfig() takes length, first and last IPv6 subnet from the text", () => {
  const text =
    '{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fc00::/48",' +
    '"IPv6SubnetMin":"fc00:0:0:5::","IPv6SubnetMax":"fc00:0:0:8::","IPv6SubnetLen":124}';
  expect(describeConfig(decodeNetworkConfig(text))).toBe("fc00::/48: /124 from fc00:0:0:5:: to fc00:0:0:8::");
});

test("decodeNetworkConfig() reads both families apart", () => {
  const config = decodeNetworkConfig('{"EnableIPv6":true,"Network":"10.244.0.0/16","IPv6Network":"fd00::/56"}');
  expect(describeConfig(config)).toBe(
    "10.244.0.0/16: /24 from 10.244.1.0 to 10.244.255.0\nfd00::/56: /64 from fd00:0:0:1:: to fd00:0:0:ff::",
  );
});

const derived: readonly (readonly [string, string])[] = [
  ["10.244.0.0/22", "10.244.0.0/22: /24 from 10.244.1.0 to 10.244.3.0"],
  ["10.244.0.0/23", "10.244.0.0/23: /25 from 10.244.0.128 to 10.244.1.128"],
  ["10.244.0.0/28", "10.244.0.0/28: /30 from 10.244.0.4 to 10.244.0.12"],
  ["10.244.7.9/16", "10.244.0.0/16: /24 from 10.244.1.0 to 10.244.255.0"],
  ["0.0.0.0/1", "0.0.0.0/1: /24 from 0.0.1.0 to 127.255.255.0"],
];

test.each(derived)("parseNetworkConfig() derives the subnets of %s", (network, wanted) => {
  expect(describeConfig(parseNetworkConfig(JSON.stringify({ Network: network })))).toBe(wanted);
});

test("parseNetworkConfig() takes zero values for absent ones, as Go does", () => {
  const text = '{"Network":"10.3.0.0/16","SubnetLen":0,"SubnetMin":"0.0.0.0","SubnetMax":null,"EnableIPv6":null}';
  expect(describeConfig(parseNetworkConfig(text))).toBe("10.3.0.0/16: /24 from 10.3.1.0 to 10.3.255.0");
});

test("parseNetworkConfig() passes over unknown keys, and over IPv6 keys while IPv6 is off", () => {
  const text = '{"Network":"10.3.0.0/16","Comment":[1],"IPv6Network":"nonsense","IPv6SubnetLen":999}';
  expect(describeConfig(parseNetworkConfig(text))).toBe("10.3.0.0/16: /24 from 10.3.1.0 to 10.3.255.0");
});

test("parseNetworkConfig() reads the backend's type in lower case and leaves its options to the backend", () => {
  const { backend } = parseNetworkConfig(
    '{"Network":"10.3.0.0/16","backend":{"type":"VXLAN","VNI":"oops","Port":4789}}',
  );
  expect(backend.type).toBe("vxlan");
  expect(backend.json.field("port").integer()).toBe(4789);
  expect(() => backend.json.field("VNI").integer()).toThrow('Cannot read "Backend.VNI"');
});

test("parseNetworkConfig() names a backend that nobody knows without judging it", () => {
  expect(parseNetworkConfig('{"Network":"10.3.0.0/16","Backend":{"Type":"Udp"}}').backend.type).toBe("udp");
  expect(parseNetworkConfig('{"Network":"10.3.0.0/16","Backend":{}}').backend.type).toBe("vxlan");
  expect(parseNetworkConfig('{"Network":"10.3.0.0/16","Backend":null}').backend.type).toBe("vxlan");
});

test.each([true, false])("parseNetworkConfig() accepts EnableNFTables %p", (value) => {
  const text = JSON.stringify({ Network: "10.3.0.0/16", EnableNFTables: value });
  expect(parseNetworkConfig(text).enableNftables).toBe(value);
});

/** Text, the key that is wrong, and upstream's message or our own. */
const refused: readonly (readonly [string, string, string])[] = [
  ["{}", "Network", "please define a correct Network parameter in the flannel config"],
  ['{"Network":"0.0.0.0/0"}', "Network", "please define a correct Network parameter in the flannel config"],
  ['{"Network":"fd00::/64"}', "Network", "invalid IPv4 CIDR format"],
  ['{"Network":"10.3.0.0"}', "Network", 'it must be a CIDR, and is the string "10.3.0.0"'],
  ['{"Network":"10.3.0.0/16","SubnetLen":31}', "SubnetLen", "SubnetLen must be less than /31"],
  [
    '{"Network":"10.3.0.0/16","SubnetLen":17}',
    "SubnetLen",
    "network must be able to accommodate at least four subnets",
  ],
  ['{"Network":"10.3.0.0/16","SubnetLen":-1}', "SubnetLen", "-1 is not between 0 and 4294967295"],
  ['{"Network":"10.3.0.0/16","SubnetLen":24.5}', "SubnetLen", "it must be a whole number, and is the number 24.5"],
  ['{"Network":"10.3.0.0/29"}', "Network", "network is too small. Minimum useful network prefix is /28"],
  ['{"Network":"10.3.0.0/16","SubnetMin":"10.4.1.0"}', "SubnetMin", "SubnetMin is not in the range of the Network"],
  ['{"Network":"10.3.0.0/16","SubnetMax":"10.2.1.0"}', "SubnetMax", "SubnetMax is not in the range of the Network"],
  [
    '{"Network":"10.3.0.0/16","SubnetMin":"10.3.1.7"}',
    "SubnetMin",
    "SubnetMin is not on a SubnetLen boundary: 10.3.1.7",
  ],
  [
    '{"Network":"10.3.0.0/16","SubnetMax":"10.3.9.1"}',
    "SubnetMax",
    "SubnetMax is not on a SubnetLen boundary: 10.3.9.1",
  ],
  ['{"Network":"10.3.0.0/16","SubnetMin":"fd00::"}', "SubnetMin", "it must be an IPv4 address"],
  ['{"Network":"10.3.0.0/16","Backend":"vxlan"}', "Backend", "error decoding Backend property of config"],
  ['{"Network":"10.3.0.0/16","Backend":{"Type":1}}', "Backend", "error decoding Backend property of config"],
  ['{"Network":"10.3.0.0/16","EnableNFTables":"yes"}', "EnableNFTables", "it must be true or false"],
  ['{"EnableIPv4":false}', "EnableIPv4", "none defined stack"],
  ['{"EnableIPv4":"false"}', "EnableIPv4", "it must be true or false"],
  ["", "", "it is not JSON"],
  ['{"Network":', "", "it is not JSON"],
  ['"10.3.0.0/16"', "", "it must be an object"],
  ["null", "", "it must be an object"],
];

test.each(refused)("parseNetworkConfig() refuses %p and names %p", (text, path, message) => {
  const error = failure(() => parseNetworkConfig(text));
  expect(error.path).toBe(path);
  expect(errorText(error)).toContain(message);
});

/** As above, for the members of a configuration with IPv6 alone. */
const refusedOfIpv6: readonly (readonly [string, string, string])[] = [
  ["", "IPv6Network", "please define a correct IPv6Network parameter in the flannel config"],
  [',"IPv6Network":"10.3.0.0/16"', "IPv6Network", "invalid IPv6 CIDR format"],
  [',"IPv6Network":"fc00::/48","IPv6SubnetLen":127', "IPv6SubnetLen", "SubnetLen must be less than /127"],
  [
    ',"IPv6Network":"fc00::/48","IPv6SubnetLen":49',
    "IPv6SubnetLen",
    "network must be able to accommodate at least four subnets",
  ],
  [',"IPv6Network":"fc00::/125"', "IPv6Network", "IPv6Network is too small. Minimum useful network prefix is /124"],
  [
    ',"IPv6Network":"fc00::/48","IPv6SubnetMin":"fc01::"',
    "IPv6SubnetMin",
    "IPv6SubnetMin is not in the range of the IPv6Network",
  ],
  [
    ',"IPv6Network":"fc00::/48","IPv6SubnetMax":"fc01::"',
    "IPv6SubnetMax",
    "IPv6SubnetMax is not in the range of the IPv6Network",
  ],
  [
    ',"IPv6Network":"fc00::/48","IPv6SubnetMin":"fc00::1"',
    "IPv6SubnetMin",
    "IPv6SubnetMin is not on a SubnetLen boundary: fc00::1",
  ],
  [
    ',"IPv6Network":"fc00::/48","IPv6SubnetMax":"fc00::2"',
    "IPv6SubnetMax",
    "IPv6SubnetMax is not on a SubnetLen boundary: fc00::2",
  ],
];

test.each(refusedOfIpv6)("decodeNetworkConfig() refuses IPv6 with %p and names %p", (members, path, message) => {
  const error = failure(() => decodeNetworkConfig(`{"EnableIPv4":false,"EnableIPv6":true${members}}`));
  expect(error.path).toBe(path);
  expect(error.message).toContain(message);
});

test("parseNetworkConfig() refuses IPv6 by name, beside IPv4 and alone", () => {
  const both = failure(() =>
    parseNetworkConfig('{"EnableIPv6":true,"Network":"10.3.0.0/16","IPv6Network":"fc00::/48"}'),
  );
  expect(both.message).toBe(
    'Cannot read "EnableIPv6": true is not supported yet, only IPv4 is; leave it out or set it to false',
  );
  const alone = failure(() => parseNetworkConfig('{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fc00::/48"}'));
  expect(alone.path).toBe("EnableIPv6");
});

function describeConfig(config: NetworkConfig): string {
  return families
    .flatMap((family) => {
      const network = config.networks[family];
      const range = config.subnets[family];
      if (network === undefined || range === undefined) return [];
      return [`${formatCidr(network)}: /${range.length} from ${formatIp(range.min)} to ${formatIp(range.max)}`];
    })
    .join("\n");
}

function failure(work: () => unknown): DecodeError {
  try {
    work();
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
  throw new Error("Cannot test the refusal: nothing was refused");
}

import { expect, test } from "bun:test";

import { parseMac } from "../../../../src/addr/mac.ts";
import { Decoder, DecodeError, type JsonObject } from "../../../../src/base/decode.ts";
import { CniError } from "../../../../src/cni/error.ts";
import { decodeExtras, mayHaveExtras, noExtras } from "../../../../src/plugins/bridge/extra-config.ts";
import { wantedVlans } from "../../../../src/plugins/bridge/port.ts";

function decode(json: JsonObject): ReturnType<typeof decodeExtras> {
  return decodeExtras(new Decoder(json));
}

function problem(json: JsonObject): string {
  try {
    decode(json);
  } catch (error) {
    if (error instanceof CniError) return `${error.code} ${error.message}`;
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
  return "none";
}

test("mayHaveExtras() passes over what flannel writes for its delegate, and over nothing that is written otherwise", () => {
  const stock = { name: "cbr0", type: "bridge", hairpinMode: true, isDefaultGateway: true, isGateway: true };
  expect(mayHaveExtras({ ...stock, cniVersion: "1.0.0", ipMasq: false, mtu: 1450, ipam: {} })).toBe(false);
  for (const key of ["vlan", "VLAN", "promiscMode", "runtimeConfig", "args", "vlantrunk"]) {
    expect([key, mayHaveExtras({ ...stock, [key]: 1 })]).toEqual([key, true]);
  }
});

test("decodeExtras() gives the defaults for absent and null keys", () => {
  expect(decode({})).toEqual(noExtras);
  const keys = ["promiscMode", "vlan", "vlanTrunk", "preserveDefaultVlan", "portIsolation", "enabledad", "args"];
  expect(decode(Object.fromEntries(keys.map((key) => [key, null])))).toEqual(noExtras);
});

test("decodeExtras() reads keys in any case", () => {
  expect(decode({ VLAN: 7, PortIsolation: true, EnableDad: true, disablecontainerinterface: true })).toEqual({
    ...noExtras,
    vlan: 7,
    portIsolation: true,
    detectDuplicates: true,
    containerDown: true,
  });
});

test("decodeExtras() takes the runtime's MAC address before that of args", () => {
  const args = { cni: { mac: "02:00:00:00:00:0A" } };
  expect(decode({ args }).mac).toBe(parseMac("02:00:00:00:00:0a"));
  expect(decode({ args, runtimeConfig: { mac: "02-00-00-00-00-0b" } }).mac).toBe(parseMac("02:00:00:00:00:0b"));
  expect(decode({ args, runtimeConfig: { mac: "" } }).mac).toBe(parseMac("02:00:00:00:00:0a"));
});

for (const [claim, trunk, ids] of [
  ["an empty list", [], []],
  ["an empty item", [{}], []],
  ["a range", [{ minID: 10, maxID: 13 }], [10, 11, 12, 13]],
  ["an id", [{ id: 42 }], [42]],
  ["an id and a range, which overlap", [{ id: 12 }, { minID: 11, maxID: 12 }, { id: 5 }], [5, 11, 12]],
  ["both in one item", [{ id: 5, minID: 7, maxID: 7 }], [5, 7]],
] as const) {
  test(`decodeExtras() reads a trunk of ${claim}`, () => {
    expect(decode({ vlanTrunk: trunk }).trunk).toEqual([...ids]);
  });
}

for (const [json, wanted] of [
  [{ vlan: -100 }, "7 invalid VLAN ID -100 (must be between 0 and 4094)"],
  [{ vlan: 5000 }, "7 invalid VLAN ID 5000 (must be between 0 and 4094)"],
  [{ vlan: "7" }, 'Cannot read "vlan": it must be a whole number, and is the string "7"'],
  [{ vlan: 1.5 }, 'Cannot read "vlan": it must be a whole number, and is the number 1.5'],
  [{ vlanTrunk: [{ minID: 0, maxID: 5 }] }, "7 incorrect trunk minID parameter"],
  [{ vlanTrunk: [{ minID: 4095, maxID: 5 }] }, "7 incorrect trunk minID parameter"],
  [{ vlanTrunk: [{ minID: 1, maxID: 4095 }] }, "7 incorrect trunk maxID parameter"],
  [{ vlanTrunk: [{ minID: 1, maxID: -1 }] }, "7 incorrect trunk maxID parameter"],
  [{ vlanTrunk: [{ minID: 6, maxID: 5 }] }, "7 minID is greater than maxID in trunk parameter"],
  [{ vlanTrunk: [{ minID: 6 }] }, "7 minID and maxID should be configured simultaneously, maxID is missing"],
  [{ vlanTrunk: [{ maxID: 6 }] }, "7 minID and maxID should be configured simultaneously, minID is missing"],
  [{ vlanTrunk: [{ id: 0 }] }, "7 incorrect trunk id parameter"],
  [{ vlanTrunk: [{ id: 4095 }] }, "7 incorrect trunk id parameter"],
  [{ vlanTrunk: {} }, 'Cannot read "vlanTrunk": it must be a list, and is an object'],
  [{ promiscMode: 1 }, 'Cannot read "promiscMode": it must be true or false, and is the number 1'],
  [{ macspoofchk: 1 }, 'Cannot read "macspoofchk": it must be true or false, and is the number 1'],
  [{ runtimeConfig: { mac: "02:00" } }, "7 address 02:00: invalid MAC address"],
  [{ ipMasqBackend: 5 }, 'Cannot read "ipMasqBackend": it must be a string, and is the number 5'],
] as const) {
  test(`decodeExtras() refuses ${JSON.stringify(json)}`, () => {
    expect(problem(json)).toBe(wanted);
  });
}

test("wantedVlans() gives a port one native VLAN and the trunk's by tag", () => {
  expect(wantedVlans({ vlan: 0, trunk: undefined, preserveDefaultVlan: false })).toEqual([]);
  expect(wantedVlans({ vlan: 0, trunk: [], preserveDefaultVlan: false })).toEqual([]);
  expect(wantedVlans({ vlan: 100, trunk: undefined, preserveDefaultVlan: false })).toEqual([{ id: 100, native: true }]);
  expect(wantedVlans({ vlan: 0, trunk: [1, 7], preserveDefaultVlan: false })).toEqual([
    { id: 1, native: true },
    { id: 7, native: false },
  ]);
  expect(wantedVlans({ vlan: 100, trunk: [7, 100], preserveDefaultVlan: true })).toEqual([
    { id: 100, native: true },
    { id: 7, native: false },
  ]);
});

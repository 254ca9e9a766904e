import { expect, test } from "bun:test";

import { Decoder, type JsonObject } from "../../../src/base/decode.ts";
import { errorText } from "../../../src/base/error.ts";
import { configVersion, decodeConfig, parseConfig } from "../../../src/cni/config.ts";
import { CniError } from "../../../src/cni/error.ts";

function problem(work: () => unknown): string {
  try {
    work();
    return "none";
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    return `${error.code} ${errorText(error)}${error.details === undefined ? "" : ` | ${error.details}`}`;
  }
}

/** How many addresses the configuration's prevResult has; undefined without one. */
function previousAddresses(json: JsonObject): number | undefined {
  return decodeConfig(new Decoder({ name: "n", ...json })).prevResult?.ips.length;
}

test("parseConfig() says what is not JSON, in the reference's words", () => {
  for (const text of ["", " \n", "{", '{"name":', "nonsense", "[]", '"text"', "5", '{"name":5}']) {
    expect(problem(() => parseConfig(text))).toStartWith("6 error unmarshall network config: ");
  }
});

test("parseConfig() checks the network's name", () => {
  for (const text of ["{}", '{"name":""}', '{"name":null}', "null"]) {
    expect(problem(() => parseConfig(text))).toBe("7 missing network name");
  }
  for (const name of ["a b", "../x", "-x", "a/b"]) {
    const found = problem(() => parseConfig(JSON.stringify({ name })));
    expect(found).toBe(`7 invalid characters found in network name | ${name}`);
  }
  expect(parseConfig('{"Name":"cbr0","unknown":{"kept":1}}').field("unknown").value).toEqual({ kept: 1 });
});

test("configVersion() takes no version for the first one", () => {
  for (const json of [{}, { cniVersion: "" }, { cniVersion: null }]) {
    expect(configVersion(new Decoder(json))).toBe("0.1.0");
  }
  expect(configVersion(new Decoder({ CNIVERSION: "0.4.0" }))).toBe("0.4.0");
  const found = problem(() => configVersion(new Decoder({ cniVersion: 5 })));
  expect(found).toStartWith("6 decoding version from network config: ");
});

test("decodeConfig() reads what every configuration has and keeps the rest", () => {
  const json = { cniVersion: "0.3.1", name: "cbr0", type: "bridge", mtu: 1450 };
  const config = decodeConfig(new Decoder(json));
  expect(config).toMatchObject({ cniVersion: "0.3.1", name: "cbr0", type: "bridge", json, prevResult: undefined });
  expect(config.decoder.field("mtu").integer()).toBe(1450);
});

test("decodeConfig() refuses a version that is not in the list", () => {
  expect(problem(() => decodeConfig(new Decoder({ name: "n", cniVersion: "1.2.0" })))).toStartWith(
    '1 incompatible CNI versions | config is "1.2.0", plugin supports ["0.1.0" ',
  );
});

test("decodeConfig() reads prevResult in the version it names, else in the configuration's", () => {
  const ip4 = { ip: "10.0.0.5/24" };
  expect(previousAddresses({ cniVersion: "0.2.0", prevResult: { ip4 } })).toBe(1);
  expect(previousAddresses({ cniVersion: "0.4.0", prevResult: { ip4 } })).toBe(0);
  expect(previousAddresses({ cniVersion: "0.4.0", prevResult: { cniVersion: "0.2.0", ip4 } })).toBe(1);
  expect(previousAddresses({ cniVersion: "0.4.0", prevResult: null })).toBeUndefined();
});

test("decodeConfig() does not look at prevResult before somebody asks", () => {
  const wrong = decodeConfig(new Decoder({ name: "n", cniVersion: "1.0.0", prevResult: { ips: 5 } }));
  expect(problem(() => wrong.prevResult)).toStartWith('6 could not parse prevResult: Cannot read "prevResult.ips"');
  const unknown = decodeConfig(new Decoder({ name: "n", cniVersion: "1.0.0", prevResult: { cniVersion: "7.0.0" } }));
  expect(problem(() => unknown.prevResult)).toBe(
    '6 could not parse prevResult: unsupported CNI result version "7.0.0"',
  );
});

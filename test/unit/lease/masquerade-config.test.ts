import { expect, test } from "bun:test";

import { formatCidr } from "../../../src/addr/cidr.ts";
import { Decoder, parseJson } from "../../../src/base/decode.ts";
import { decodeMasquerade } from "../../../src/lease/masquerade-config.ts";

function read(text: string): unknown {
  const { enabled, except } = decodeMasquerade(new Decoder(parseJson(text)));
  return { ...enabled, except4: except[4].map(formatCidr), except6: except[6].map(formatCidr) };
}

test("decodeMasquerade() changes nothing where no key is given", () => {
  expect(read("{}")).toEqual({ 4: true, 6: true, except4: [], except6: [] });
  expect(read('{"nonMasqueradeCIDRs":null,"masqueradeIPv4":true}')).toEqual({
    4: true,
    6: true,
    except4: [],
    except6: [],
  });
});

test("decodeMasquerade() sorts the list by family, takes the networks of addresses, and keys in any case", () => {
  const text = '{"NonMasqueradeCidrs":["10.1.2.3/8","fd00::1/8","192.168.0.0/16"],"masqueradeipv6":false}';
  expect(read(text)).toEqual({ 4: true, 6: false, except4: ["10.0.0.0/8", "192.168.0.0/16"], except6: ["fd00::/8"] });
});

test.each([
  ['{"nonMasqueradeCIDRs":"10.0.0.0/8"}', "nonMasqueradeCIDRs", "a list"],
  ['{"nonMasqueradeCIDRs":["10.0.0.0/8","10.0.0.1"]}', "nonMasqueradeCIDRs[1]", "a CIDR"],
  ['{"nonMasqueradeCIDRs":[10]}', "nonMasqueradeCIDRs[0]", "a string"],
  ['{"masqueradeIPv4":"no"}', "masqueradeIPv4", "true or false"],
])("decodeMasquerade() refuses %p and names %p", (text, path, wanted) => {
  expect(() => read(text)).toThrow(`Cannot read "${path}": it must be ${wanted}`);
});

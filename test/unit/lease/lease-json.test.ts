import { expect, test } from "bun:test";

import { formatIp, parseIp } from "../../../src/addr/ip.ts";
import type { LeaseAttributes } from "../../../src/lease/lease.ts";
import { decodeLeaseAttributes, encodeLeaseAttributes, sameAttributes } from "../../../src/lease/lease-json.ts";

const vxlan: LeaseAttributes = {
  publicIps: { 4: parseIp("192.168.1.10"), 6: undefined },
  backendType: "vxlan",
  backendData: { 4: { VNI: 1, VtepMAC: "5a:dd:cc:32:b4:3b" }, 6: undefined },
};

const dual: LeaseAttributes = {
  publicIps: { 4: parseIp("192.168.1.10"), 6: parseIp("2001:db8::10") },
  backendType: "vxlan",
  backendData: { 4: { VNI: 1, VtepMAC: "5a:dd:cc:32:b4:3b" }, 6: { VNI: 1, VtepMAC: "6e:00:00:00:00:01" } },
};

const bare: LeaseAttributes = {
  publicIps: { 4: parseIp("1.2.3.4"), 6: undefined },
  backendType: "",
  backendData: { 4: undefined, 6: undefined },
};

/** The text of each is what Go's encoding/json makes of upstream's LeaseAttrs. */
const values: readonly (readonly [string, LeaseAttributes, string])[] = [
  [
    "a vxlan node",
    vxlan,
    '{"PublicIP":"192.168.1.10","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"5a:dd:cc:32:b4:3b"}}',
  ],
  [
    "a node of two families",
    dual,
    '{"PublicIP":"192.168.1.10","PublicIPv6":"2001:db8::10","BackendType":"vxlan",' +
      '"BackendData":{"VNI":1,"VtepMAC":"5a:dd:cc:32:b4:3b"},"BackendV6Data":{"VNI":1,"VtepMAC":"6e:00:00:00:00:01"}}',
  ],
  ["a node of a backend that publishes nothing", bare, '{"PublicIP":"1.2.3.4","PublicIPv6":null}'],
];

test.each(values)("encodeLeaseAttributes() writes %s as upstream does", (_, attributes, text) => {
  expect(encodeLeaseAttributes(attributes)).toBe(text);
});

test.each(values)("decodeLeaseAttributes() reads %s", (_, attributes, text) => {
  expect(decodeLeaseAttributes(text)).toEqual(attributes);
});

test("decodeLeaseAttributes() passes over unknown fields and does not mind the case of the known ones", () => {
  const text = '{"publicip":"1.2.3.4","PublicIPv6":null,"Comment":{"by":"hand"},"BackendData":null}\n';
  expect(decodeLeaseAttributes(text)).toEqual(bare);
});

test("decodeLeaseAttributes() keeps backend data of any type, for the backend to judge", () => {
  expect(decodeLeaseAttributes('{"PublicIP":"1.2.3.4","BackendData":"text"}').backendData[4]).toBe("text");
  expect(decodeLeaseAttributes('{"PublicIP":"1.2.3.4","BackendData":[1,false]}').backendData[4]).toEqual([1, false]);
});

const broken: readonly (readonly [string, string])[] = [
  ["", "Cannot read the document: it is not JSON"],
  ['{"PublicIP":"1.2.3.4"', "Cannot read the document: it is not JSON"],
  ["null", "Cannot read the document: it must be an object, and is absent"],
  ["[]", "Cannot read the document: it must be an object, and is a list"],
  ["{}", `Cannot read "PublicIP": it must be the node's IPv4 address, and is absent`],
  ['{"PublicIP":7}', 'Cannot read "PublicIP": it must be a string, and is the number 7'],
  ['{"PublicIP":"1.2.3"}', 'Cannot read "PublicIP": it must be an IPv4 address, and is the string "1.2.3"'],
  ['{"PublicIP":"0.0.0.0"}', 'Cannot read "PublicIP": it must be an IPv4 address, and is the string "0.0.0.0"'],
  ['{"PublicIP":"fd00::1"}', 'Cannot read "PublicIP": it must be an IPv4 address, and is the string "fd00::1"'],
  ['{"PublicIP":"1.2.3.4","PublicIPv6":"1.2.3.4"}', 'Cannot read "PublicIPv6": it must be an IPv6 address'],
  ['{"PublicIP":"1.2.3.4","BackendType":1}', 'Cannot read "BackendType": it must be a string, and is the number 1'],
];

test.each(broken)("decodeLeaseAttributes() refuses %p", (text, message) => {
  expect(() => decodeLeaseAttributes(text)).toThrow(message);
});

test("sameAttributes() sees a change of each part", () => {
  expect(sameAttributes(vxlan, decodeLeaseAttributes(encodeLeaseAttributes(vxlan)))).toBe(true);
  expect(sameAttributes(vxlan, { ...vxlan, publicIps: { 4: parseIp("192.168.1.11"), 6: undefined } })).toBe(false);
  expect(sameAttributes(vxlan, { ...vxlan, backendType: "host-gw" })).toBe(false);
  expect(sameAttributes(vxlan, { ...vxlan, backendData: { 4: { VNI: 2 }, 6: undefined } })).toBe(false);
  expect(sameAttributes(dual, { ...dual, backendData: { ...dual.backendData, 6: undefined } })).toBe(false);
});

test("an address that Go writes with its mapped form is the IPv4 address", () => {
  const { publicIps } = decodeLeaseAttributes('{"PublicIP":"::ffff:1.2.3.4"}');
  expect(publicIps[4] && formatIp(publicIps[4])).toBe("1.2.3.4");
});

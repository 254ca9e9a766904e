import { expect, test } from "bun:test";
import { decodeVxlanOptions } from "../../../src/backend/vxlan-config.ts";
import { decodeVtepMac, encodeVxlanData, findVtepMac } from "../../../src/backend/vxlan-data.ts";
import { parseMac } from "../../../src/addr/mac.ts";
import { Decoder, type Json } from "../../../src/base/decode.ts";

function decode(backend: Json | undefined): unknown {
  return decodeVxlanOptions(new Decoder(backend, "Backend"));
}

test("decodeVxlanOptions() has upstream's defaults", () => {
  const defaults = { vni: 1, port: 0, mtu: 0, gbp: false, learning: false };
  expect(decode(undefined)).toEqual(defaults);
  expect(decode({ Type: "vxlan" })).toEqual(defaults);
  expect(decode({ DirectRouting: false, MacPrefix: "0E-2A", Name: "n", Unheard: 1 })).toEqual(defaults);
});

test("decodeVxlanOptions() reads every option, in any case of its key", () => {
  const options = { vni: 5, port: 4789, mtu: 1400, gbp: true, learning: true };
  expect(decode({ VNI: 5, Port: 4789, MTU: 1400, GBP: true, Learning: true })).toEqual(options);
  expect(decode({ vni: 5, PORT: 4789, mtu: 1400, gbp: true, learning: true })).toEqual(options);
});

test.each<readonly [Json, string]>([
  [{ DirectRouting: true }, 'Cannot read "Backend.DirectRouting": true is not supported yet'],
  [{ DirectRouting: "yes" }, 'Cannot read "Backend.DirectRouting": it must be true or false'],
  [{ VNI: "1" }, 'Cannot read "Backend.VNI": it must be a whole number, and is the string "1"'],
  [{ VNI: 16_777_216 }, 'Cannot read "Backend.VNI": 16777216 is not between 0 and 9999999'],
  [{ VNI: -1 }, 'Cannot read "Backend.VNI": -1 is not between 0 and 9999999'],
  [{ MTU: 117 }, 'Cannot read "Backend.MTU": 117 is less than 118'],
  [{ Port: 65_536 }, 'Cannot read "Backend.Port": 65536 is not between 0 and 65535'],
  [{ MTU: 1400.5 }, 'Cannot read "Backend.MTU": it must be a whole number'],
  [{ GBP: 1 }, 'Cannot read "Backend.GBP": it must be true or false'],
])("decodeVxlanOptions() refuses %j by its key", (backend, message) => {
  expect(() => decode(backend)).toThrow(message);
});

test("encodeVxlanData() writes what decodeVtepMac() reads, as upstream does", () => {
  const mac = parseMac("5a:dd:cc:32:b4:3b");
  const data = encodeVxlanData({ vni: 1, mac });
  expect(JSON.stringify(data)).toBe('{"VNI":1,"VtepMAC":"5a:dd:cc:32:b4:3b"}');
  expect(decodeVtepMac(data)).toBe(mac);
});

test("findVtepMac() is undefined for what is no device's address", () => {
  for (const data of [undefined, null, "text", { VtepMAC: 1 }, { VtepMAC: "00:00:00:00:00:00" }]) {
    expect(findVtepMac(data)).toBeUndefined();
  }
});

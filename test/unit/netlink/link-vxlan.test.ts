import { expect, test } from "bun:test";

import { parseIp } from "../../../src/addr/ip.ts";
import { type Vxlan, vxlanDifferences, type VxlanSpec } from "../../../src/netlink/link-vxlan.ts";

const spec: VxlanSpec = {
  vni: 1,
  port: 8472,
  lowerIndex: 2,
  local: parseIp("192.168.0.1"),
  learning: false,
  gbp: false,
};

const device: Vxlan = { ...spec, group: undefined };

const changes: readonly (readonly [text: string, change: Partial<Vxlan>])[] = [
  ["VNI 2 instead of 1", { vni: 2 }],
  ["UDP port 4789 instead of 8472", { port: 4789 }],
  ["lower device #3 instead of #2", { lowerIndex: 3 }],
  ["lower device none instead of #2", { lowerIndex: undefined }],
  ["local address 192.168.0.2 instead of 192.168.0.1", { local: parseIp("192.168.0.2") }],
  ["local address none instead of 192.168.0.1", { local: undefined }],
  ["remote address 239.0.0.1 instead of none", { group: parseIp("239.0.0.1") }],
  ["learning on instead of off", { learning: true }],
  ["GBP on instead of off", { gbp: true }],
];

test.each(changes)("vxlanDifferences() names %s", (text, change) => {
  expect(vxlanDifferences({ ...device, ...change }, spec)).toEqual([text]);
});

test("vxlanDifferences() is empty for the device that the spec describes, and lists all that differs", () => {
  expect(vxlanDifferences(device, spec)).toEqual([]);
  const other: Vxlan = { ...device, vni: 7, gbp: true };
  expect(vxlanDifferences(other, spec)).toEqual(["VNI 7 instead of 1", "GBP on instead of off"]);
});

test("vxlanDifferences() accepts any port when the kernel is to choose it", () => {
  expect(vxlanDifferences({ ...device, port: 4789 }, { ...spec, port: 0 })).toEqual([]);
});

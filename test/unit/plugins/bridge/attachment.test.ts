import { expect, test } from "bun:test";

import { hostVethAlias, hostVethName } from "../../../../src/plugins/bridge/attachment.ts";
import { findAliasMark } from "../../../../src/plugins/bridge/gc.ts";

const attachment = { network: "cbr0", containerId: "c1", interfaceName: "eth0" };
const long = { ...attachment, containerId: "c".repeat(300) };

test("findAliasMark() reads what hostVethAlias() wrote", () => {
  expect(hostVethAlias(attachment)).toBe("tartan cbr0 c1 eth0");
  expect(findAliasMark(hostVethAlias(attachment))).toEqual({ network: "cbr0", device: hostVethName(attachment) });
});

test("hostVethAlias() tells network and attachment apart also where only hashes have room", () => {
  const alias = hostVethAlias(long);
  expect(alias).toMatch(/^tartan ~[\da-f]{64} [\da-f]{64}$/);
  const { network, device } = findAliasMark(alias) ?? {};
  expect(device).toBe(hostVethName(long));
  expect(findAliasMark(hostVethAlias({ ...long, network: "other" }))?.network).not.toBe(network);
  expect(findAliasMark(hostVethAlias({ ...long, interfaceName: "net1" }))?.network).toBe(network);
  expect(hostVethAlias({ ...long, interfaceName: "net1" })).not.toBe(alias);
});

test("hostVethAlias() has no more bytes than the kernel takes", () => {
  for (const interfaceName of ["eth0", "\u20ac\u20ac\u20ac\u20ac\u20ac"]) {
    for (let length = 200; length < 300; length++) {
      const alias = hostVethAlias({ ...attachment, containerId: "c".repeat(length), interfaceName });
      expect(Buffer.byteLength(alias)).toBeLessThanOrEqual(255);
      expect(alias.includes("~")).toBe(`tartan cbr0 ${"c".repeat(length)} ${interfaceName}`.length > 245);
    }
  }
});

test("findAliasMark() takes nothing else for ours", () => {
  for (const alias of [
    "",
    "tartan",
    "tartan cbr0",
    "tartan cbr0 c1",
    "tartan-bridge cni0.100",
    "other cbr0 c1 eth0",
    "tartan cbr0 c1 eth0 x",
    `${hostVethAlias(long)} x y`,
  ]) {
    expect([alias, findAliasMark(alias)]).toEqual([alias, undefined]);
  }
});

test("hostVethName() follows from container and interface, and fits the kernel", () => {
  const name = hostVethName(attachment);
  expect(name).toMatch(/^veth[\da-f]{11}$/);
  expect(hostVethName({ ...attachment, network: "other" })).toBe(name);
  expect(hostVethName({ ...attachment, interfaceName: "net1" })).not.toBe(name);
});

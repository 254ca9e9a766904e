import { expect, test } from "bun:test";

import { findAliasOwner, hostVethAlias, hostVethName } from "../../../../src/plugins/bridge/attachment.ts";

const attachment = { network: "cbr0", containerId: "c1", interfaceName: "eth0" };

test("findAliasOwner() reads what hostVethAlias() wrote", () => {
  expect(hostVethAlias(attachment)).toBe("tartan cbr0 c1 eth0");
  expect(findAliasOwner(hostVethAlias(attachment))).toEqual(attachment);
});

test("findAliasOwner() takes nothing else for ours: other aliases, and the short form of a long one", () => {
  const long = hostVethAlias({ ...attachment, containerId: "c".repeat(300) });
  expect(long).toMatch(/^tartan [\da-f]{64}$/);
  for (const alias of ["", "tartan", long, "tartan-bridge cni0.100", "other cbr0 c1 eth0", "tartan cbr0 c1 eth0 x"]) {
    expect([alias, findAliasOwner(alias)]).toEqual([alias, undefined]);
  }
});

test("hostVethName() follows from container and interface, and fits the kernel", () => {
  const name = hostVethName(attachment);
  expect(name).toMatch(/^veth[\da-f]{11}$/);
  expect(hostVethName({ ...attachment, network: "other" })).toBe(name);
  expect(hostVethName({ ...attachment, interfaceName: "net1" })).not.toBe(name);
});

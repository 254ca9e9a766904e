import { expect, test } from "bun:test";

import {
  findOwner,
  findOwnerKey,
  isOfNetwork,
  type NamedOwner,
  ownerComment,
  ownerKey,
  ownerText,
} from "../../../src/firewall/pod-owner.ts";

const owner: NamedOwner = {
  network: "cbr0",
  containerId: "a".repeat(64),
  interfaceName: "eth0",
  device: "veth0123456789a",
  pod: "default/web-1",
};

test("ownerComment() tells the owner, and findOwner() reads it", () => {
  const comment = ownerComment(owner);
  expect(comment).toBe(`tartan cbr0 ${owner.containerId} eth0 veth0123456789a default/web-1`);
  expect(findOwner(comment)).toEqual(owner);
  expect(findOwnerKey(comment)).toBe(ownerKey(owner));
  expect(findOwner(ownerComment({ ...owner, device: undefined, pod: undefined }))).toEqual({
    ...owner,
    device: undefined,
    pod: undefined,
  });
});

test("ownerComment() is never longer than nft takes back: it leaves the pod's name out, gives a hash of the network, then the key alone", () => {
  const longName = { ...owner, pod: `default/${"x".repeat(60)}` };
  expect(ownerComment(longName)).toBe(`tartan cbr0 ${owner.containerId} eth0 veth0123456789a`);
  const longNetwork = { ...owner, network: "n".repeat(60) };
  expect(ownerComment(longNetwork)).toMatch(/^tartan ~[0-9a-f]{15} a{64} eth0 veth0123456789a default\/web-1$/);
  expect(findOwnerKey(ownerComment(longNetwork))).toBe(ownerKey(longNetwork));
  const longContainer = { ...owner, containerId: "a".repeat(100) };
  expect(ownerComment(longContainer)).toBe(`tartan ${ownerKey(longContainer)} veth0123456789a`);
  expect(findOwnerKey(ownerComment(longContainer))).toBe(ownerKey(longContainer));
  expect(findOwner(ownerComment(longContainer))?.device).toBe("veth0123456789a");
});

test("isOfNetwork() knows a network by its name and by what stands for it in a comment", () => {
  const network = "n".repeat(60);
  const found = findOwner(ownerComment({ ...owner, network }));
  expect(found !== undefined && isOfNetwork(found, network)).toBe(true);
  expect(found !== undefined && isOfNetwork(found, `${network}n`)).toBe(false);
  expect([isOfNetwork(owner, "cbr0"), isOfNetwork(owner, "cbr1")]).toEqual([true, false]);
});

test("findOwner() takes no other comment for ours", () => {
  for (const comment of [undefined, "", "tartan", "tartan x", "other cbr0 c eth0 -"]) {
    expect(findOwner(comment)).toBeUndefined();
    expect(findOwnerKey(comment)).toBeUndefined();
  }
});

test("ownerText() names the pod where it is known", () => {
  expect(ownerText(owner)).toBe(`pod default/web-1, container ${owner.containerId}, interface eth0 of network cbr0`);
  expect(ownerText({ ...owner, pod: undefined })).toBe(
    `container ${owner.containerId}, interface eth0 of network cbr0`,
  );
});

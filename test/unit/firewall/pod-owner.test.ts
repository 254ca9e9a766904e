import { expect, test } from "bun:test";

import {
  findOwner,
  findOwnerKey,
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

test("ownerComment() is never longer than nft takes back: it leaves the pod's name out, then gives the key alone", () => {
  const longName = { ...owner, pod: `default/${"x".repeat(60)}` };
  expect(ownerComment(longName)).toBe(`tartan cbr0 ${owner.containerId} eth0 veth0123456789a`);
  const longNetwork = { ...owner, network: "n".repeat(60) };
  expect(ownerComment(longNetwork)).toBe(`tartan ${ownerKey(longNetwork)} veth0123456789a`);
  expect(findOwnerKey(ownerComment(longNetwork))).toBe(ownerKey(longNetwork));
  expect(findOwner(ownerComment(longNetwork))?.device).toBe("veth0123456789a");
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

import { expect, test } from "bun:test";

import {
  findOwner,
  findOwnerKey,
  isOfNetwork,
  type NamedOwner,
  ownerMarks,
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

test("ownerMarks() tells the owner, and findOwner() reads it", () => {
  const comment = ownerMarks(owner).comment;
  expect(comment).toBe(`tartan cbr0 ${owner.containerId} eth0 veth0123456789a default/web-1`);
  expect(findOwner(comment)).toEqual(owner);
  expect(findOwnerKey(comment)).toBe(ownerKey(owner));
  expect(findOwner(ownerMarks({ ...owner, device: undefined, pod: undefined }).comment)).toEqual({
    ...owner,
    device: undefined,
    pod: undefined,
  });
});

test("ownerMarks() is never longer than nft takes back: it gives the pod's name apart, then a hash of the network, then the key alone", () => {
  const longName = { ...owner, pod: `default/${"x".repeat(60)}` };
  const marks = ownerMarks(longName);
  expect(marks).toEqual({ comment: `tartan cbr0 ${owner.containerId} eth0 veth0123456789a`, note: longName.pod });
  expect(findOwner(marks.comment, marks.note)).toEqual(longName);
  const longNetwork = { ...owner, network: "n".repeat(60) };
  expect(ownerMarks(longNetwork).comment).toMatch(/^tartan ~[0-9a-f]{15} a{64} eth0 veth0123456789a default\/web-1$/);
  expect(findOwnerKey(ownerMarks(longNetwork).comment)).toBe(ownerKey(longNetwork));
  const longContainer = { ...owner, containerId: "a".repeat(100) };
  expect(ownerMarks(longContainer).comment).toBe(`tartan ${ownerKey(longContainer)} veth0123456789a`);
  expect(findOwnerKey(ownerMarks(longContainer).comment)).toBe(ownerKey(longContainer));
  expect(findOwner(ownerMarks(longContainer).comment)?.device).toBe("veth0123456789a");
});

test("isOfNetwork() knows a network by its name and by what stands for it in a comment", () => {
  const network = "n".repeat(60);
  const found = findOwner(ownerMarks({ ...owner, network }).comment);
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
  // Of a container with a long id the name of the pod is all that is known.
  const { comment, note } = ownerMarks({ ...owner, containerId: "a".repeat(100) });
  const found = findOwner(comment, note);
  expect(found === undefined ? "" : ownerText(found)).toBe("pod default/web-1");
  expect(ownerText({ ...owner, containerId: "", pod: undefined })).toBe("another pod");
});

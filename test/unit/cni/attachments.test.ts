import { expect, test } from "bun:test";

import { Decoder, type Json } from "../../../src/base/decode.ts";
import { errorText } from "../../../src/base/error.ts";
import { decodeValidAttachments } from "../../../src/cni/attachments.ts";
import { CniError } from "../../../src/cni/error.ts";
import type { ValidAttachments } from "../../../src/cni/plugin.ts";

const keys = ["cni.dev/valid-attachments", "cni.dev/attachments"] as const;

function decode(list: Json, key: string = keys[0]): ValidAttachments {
  return decodeValidAttachments(new Decoder({ cniVersion: "1.1.0", name: "cbr0", [key]: list }));
}

/** The code and the text of an error. */
function problem(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return `${error instanceof CniError ? error.code : "none"} ${errorText(error)}`;
  }
  return "none";
}

for (const key of keys) {
  test(`decodeValidAttachments() reads "${key}"`, () => {
    const list = [
      { containerID: "c1", ifname: "eth0" },
      { ContainerId: "c2", IFNAME: "net1", more: 1 },
    ];
    const valid = decode(list, key);
    expect(valid.has("c1", "eth0")).toBe(true);
    expect(valid.has("c1", "net1")).toBe(false);
    expect(valid.has("c2", "net1")).toBe(true);
    expect(["c1", "c2", "c3"].map((id) => valid.hasContainer(id))).toEqual([true, true, false]);
  });
}

test("decodeValidAttachments() takes an empty list, and null as libcni writes one, for no attachments", () => {
  for (const list of [[], null]) {
    expect(decode(list).has("c1", "eth0")).toBe(false);
    expect(decode(list).hasContainer("c1")).toBe(false);
  }
});

test("decodeValidAttachments() refuses a configuration without the list", () => {
  expect(problem(() => decodeValidAttachments(new Decoder({ name: "cbr0" })))).toBe(
    '7 missing "cni.dev/valid-attachments": without the list of what is in use nothing can be freed',
  );
});

for (const [list, wanted] of [
  ["x", 'it must be a list, and is the string "x"'],
  [{ containerID: "c1", ifname: "eth0" }, "it must be a list, and is an object"],
  [[5], "it must be an object, and is the number 5"],
  [[{ containerID: "c1" }], 'it must be an attachment with "containerID" and "ifname", and is an object'],
  [[{ containerID: "", ifname: "eth0" }], 'it must be an attachment with "containerID" and "ifname", and is an object'],
] as const) {
  test(`decodeValidAttachments() refuses ${JSON.stringify(list)}`, () => {
    const told = problem(() => decode(list));
    expect(told).toStartWith("7 failed to parse the valid attachments: Cannot read ");
    expect(told).toEndWith(wanted);
  });
}

import { expect, test } from "bun:test";

import { CniArgs } from "../../../src/cni/args.ts";
import { CniError } from "../../../src/cni/error.ts";

/** The value of IP, or the error's message. */
function findIp(text: string): string | undefined {
  try {
    return new CniArgs(text).get("IP");
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    expect(error.code).toBe(4);
    return error.message;
  }
}

const kubernetes =
  "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=f00;K8S_POD_UID=u-1";

const wanted: Readonly<Record<string, string | undefined>> = {
  "": undefined,
  "IP=10.0.0.9": "10.0.0.9",
  "IP=": "",
  "IP=10.0.0.8;IP=10.0.0.9": "10.0.0.9",
  "IgnoreUnknown=1": undefined,
  [kubernetes]: undefined,
  [`${kubernetes};IP=10.0.0.9`]: "10.0.0.9",
  // Known names are known to the letter.
  "ip=10.0.0.9": 'ARGS: unknown args ["ip=10.0.0.9"]',
  "ip=10.0.0.9;IgnoreUnknown=1": undefined,
  "ignoreunknown=1": 'ARGS: unknown args ["ignoreunknown=1"]',
  "IP=10.0.0.9;FOO=1;BAR=2": 'ARGS: unknown args ["FOO=1" "BAR=2"]',
  "FOO=1;IgnoreUnknown=0": 'ARGS: unknown args ["FOO=1"]',
  "IgnoreUnknown=maybe":
    'ARGS: error parsing value of pair "IgnoreUnknown=maybe": boolean unmarshal error: invalid input maybe',
  IP: 'ARGS: invalid pair "IP"',
  "IP=a=b": 'ARGS: invalid pair "IP=a=b"',
  ";": 'ARGS: invalid pair ""',
  "IgnoreUnknown=1;": 'ARGS: invalid pair ""',
};

for (const [text, value] of Object.entries(wanted)) {
  test(`CniArgs.get() reads "${text}" as the reference does`, () => {
    expect(findIp(text)).toBe(value);
  });
}

test("CniArgs.get() knows the reference's words for true and false", () => {
  for (const word of ["1", "true", "True", "TRUE"]) expect(findIp(`FOO=1;IgnoreUnknown=${word}`)).toBeUndefined();
  for (const word of ["0", "false", "False"]) {
    expect(findIp(`FOO=1;IgnoreUnknown=${word}`)).toBe('ARGS: unknown args ["FOO=1"]');
  }
});

test("CniArgs takes any text from a plugin that never asks", () => {
  expect(new CniArgs("no pair").text).toBe("no pair");
});

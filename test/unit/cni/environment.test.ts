import { expect, test } from "bun:test";

import { isCniName, readEnvironment } from "../../../src/cni/environment.ts";
import { CniError } from "../../../src/cni/error.ts";

const complete = {
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/run/netns/c1",
  CNI_IFNAME: "eth0",
  CNI_ARGS: "IgnoreUnknown=1",
  CNI_PATH: "/opt/cni/bin:/usr/libexec/cni",
};

/** `code message | details`, or undefined when nothing is wrong. */
function problem(variables: Readonly<Record<string, string | undefined>>): string | undefined {
  try {
    readEnvironment(variables);
    return undefined;
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    return `${error.code} ${error.message}${error.details === undefined ? "" : ` | ${error.details}`}`;
  }
}

test("readEnvironment() takes every variable", () => {
  expect(readEnvironment({ CNI_COMMAND: "ADD", ...complete })).toEqual({
    command: "ADD",
    containerId: "c1",
    netns: "/run/netns/c1",
    interfaceName: "eth0",
    args: "IgnoreUnknown=1",
    path: ["/opt/cni/bin", "/usr/libexec/cni"],
    netnsOverride: false,
  });
});

test("readEnvironment() takes only true and 1 for CNI_NETNS_OVERRIDE", () => {
  const words = ["1", "true", "TRUE", "True", "0", "", "yes", "2"];
  const taken = words.filter(
    (word) => readEnvironment({ CNI_COMMAND: "VERSION", CNI_NETNS_OVERRIDE: word }).netnsOverride,
  );
  expect(taken).toEqual(["1", "true", "TRUE", "True"]);
});

const needed: Readonly<Record<string, readonly string[]>> = {
  ADD: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  CHECK: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  DEL: ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
  GC: ["CNI_PATH"],
  STATUS: ["CNI_PATH"],
  VERSION: [],
  NONSENSE: [],
};

for (const [command, names] of Object.entries(needed)) {
  test(`readEnvironment() asks for what ${command} needs, each and all together`, () => {
    for (const name of names) {
      const wanted = `4 required env variables [${name}] missing`;
      expect(problem({ CNI_COMMAND: command, ...complete, [name]: undefined })).toBe(wanted);
      expect(problem({ CNI_COMMAND: command, ...complete, [name]: "" })).toBe(wanted);
    }
    const all = names.length === 0 ? undefined : `4 required env variables [${names.join(",")}] missing`;
    expect(problem({ CNI_COMMAND: command })).toBe(all);
    for (const name of Object.keys(complete).filter((other) => !names.includes(other))) {
      expect(problem({ CNI_COMMAND: command, ...complete, [name]: undefined })).toBeUndefined();
    }
  });
}

for (const command of ["ADD", "CHECK", "DEL"]) {
  test(`readEnvironment() checks the container id of ${command}`, () => {
    for (const id of ["-x", ".x", "_x", "a b", "a/b", "a:b", "ä", "a\n"]) {
      const found = problem({ CNI_COMMAND: command, ...complete, CNI_CONTAINERID: id });
      expect(found).toBe(`4 invalid characters in containerID | ${id}`);
    }
    for (const id of ["a", "0", "A.b_c-d", "f".repeat(500)]) {
      expect(problem({ CNI_COMMAND: command, ...complete, CNI_CONTAINERID: id })).toBeUndefined();
    }
  });

  test(`readEnvironment() checks the interface name of ${command}`, () => {
    const tooLong = "4 interface name is too long | interface name should be less than 16 characters";
    const dots = "4 interface name is . or ..";
    const characters = "4 interface name contains / or : or whitespace characters";
    const wanted: readonly (readonly [string, string | undefined])[] = [
      ["sixteen-letters-", tooLong],
      // Fifteen characters, and sixteen bytes.
      ["fifteen-letterß", tooLong],
      [".", dots],
      ["..", dots],
      ["a/b", characters],
      ["a:b", characters],
      ["a b", characters],
      ["a\tb", characters],
      ["a\u0085b", characters],
      ["a\u3000b", characters],
      ["fifteen-letters", undefined],
      ["...", undefined],
      ["eth0.100", undefined],
      // A zero-width no-break space is no white space to Unicode, nor to Go.
      ["a\ufeffb", undefined],
    ];
    for (const [name, text] of wanted) {
      expect([name, problem({ CNI_COMMAND: command, ...complete, CNI_IFNAME: name })]).toEqual([name, text]);
    }
  });
}

test("readEnvironment() tells a bad value before what is missing", () => {
  expect(problem({ CNI_COMMAND: "ADD", CNI_CONTAINERID: "-x" })).toBe("4 invalid characters in containerID | -x");
});

test("readEnvironment() does not look at values that the verb does not need", () => {
  const wrong = { ...complete, CNI_CONTAINERID: "-x", CNI_IFNAME: "a/b" };
  for (const command of ["GC", "STATUS", "VERSION"])
    expect(problem({ CNI_COMMAND: command, ...wrong })).toBeUndefined();
});

test("isCniName() refuses what could lead out of a directory", () => {
  expect(["", ".", "..", "../x", "x/y", "x\0y"].filter(isCniName)).toEqual([]);
});

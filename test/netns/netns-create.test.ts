import { expect, test } from "bun:test";

import { SyscallError } from "../../src/sys/errno.ts";
import { findNetns, inNetns, ownNetnsIdentity } from "../../src/sys/netns.ts";
import { createNetns, listNetns, removeNetns } from "../../src/sys/netns-create.ts";
import { runCommand } from "../helpers/command.ts";
import { describeWith } from "../helpers/require.ts";
import { uniqueName } from "../helpers/run-id.ts";

await describeWith(["root", "tool:ip"], "sys/netns-create", () => {
  test("createNetns() makes a namespace that ip netns knows, and stays outside of it", async () => {
    const before = ownNetnsIdentity();
    const name = uniqueName();
    using netns = createNetns(name);
    try {
      expect(ownNetnsIdentity()).toBe(before);
      expect(netns.identity).not.toBe(before);
      expect(inNetns(netns, ownNetnsIdentity)).toBe(netns.identity);
      const listed = await runCommand(["ip", "netns", "list"]);
      expect(listed.stdout).toContain(name);
      const links = await runCommand(["ip", "netns", "exec", name, "ip", "-br", "link"]);
      expect(links.stdout).toStartWith("lo ");
      expect(listNetns()).toContain(name);
    } finally {
      removeNetns(name);
    }
    expect(listNetns()).not.toContain(name);
    expect((await runCommand(["ip", "netns", "list"])).stdout).not.toContain(name);
  });

  test("createNetns() leaves a namespace alone that has the name already", async () => {
    const name = uniqueName();
    await runCommand(["ip", "netns", "add", name]);
    try {
      using theirs = findNetns(`/run/netns/${name}`);
      expect(() => createNetns(name)).toThrow(SyscallError);
      using still = findNetns(`/run/netns/${name}`);
      expect(still?.identity).toBe(theirs?.identity ?? "");
    } finally {
      await runCommand(["ip", "netns", "delete", name]);
    }
  });

  test("removeNetns() removes what ip netns made, also a name that nothing is mounted on, and none quietly", async () => {
    const name = uniqueName();
    await runCommand(["ip", "netns", "add", name]);
    expect(removeNetns(name)).toBe(true);
    expect(removeNetns(name)).toBe(false);
    await Bun.write(`/run/netns/${name}`, "");
    expect(removeNetns(name)).toBe(true);
    expect(listNetns()).not.toContain(name);
  });
});

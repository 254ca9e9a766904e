import { expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

import { findNetns, inNetns, NotANamespaceError, ownNetnsIdentity } from "../../src/sys/netns.ts";
import { ensureSysctl, writeSysctl } from "../../src/sys/sysctl.ts";
import { runCommand } from "../helpers/command.ts";
import { openNetns } from "../helpers/netlink-socket.ts";
import { createNetns, type TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory } from "../helpers/temp.ts";

/** The kernel's name for the namespace that the calling thread is in. */
function here(): string {
  return readlinkSync("/proc/thread-self/ns/net");
}

async function nameOf(netns: TestNetns): Promise<string> {
  return (await netns.run(["readlink", "/proc/self/ns/net"])).stdout.trim();
}

function forwarding(): string {
  return readFileSync("/proc/sys/net/ipv4/conf/lo/forwarding", "utf8").trim();
}

await describeWith(["root", "tool:ip"], "sys/netns", () => {
  test("inNetns() works inside, returns what the work returns, and comes back", async () => {
    await using netns = await createNetns();
    using namespace = openNetns(netns);
    const before = here();
    expect(inNetns(namespace, here)).toBe(await nameOf(netns));
    expect(here()).toBe(before);
    expect(before).not.toBe(await nameOf(netns));
  });

  test("inNetns() comes back when the work throws, and passes the error on", async () => {
    await using netns = await createNetns();
    using namespace = openNetns(netns);
    const before = here();
    expect(() =>
      inNetns(namespace, () => {
        throw new Error(`inside ${here()}`);
      }),
    ).toThrow(`inside ${await nameOf(netns)}`);
    expect(here()).toBe(before);
  });

  test("inNetns() may be entered from inside another, and comes back there", async () => {
    await using outer = await createNetns();
    await using inner = await createNetns();
    using outerNetns = openNetns(outer);
    using innerNetns = openNetns(inner);
    const before = here();
    const seen = inNetns(outerNetns, () => [here(), inNetns(innerNetns, here), here()]);
    expect(seen).toEqual([await nameOf(outer), await nameOf(inner), await nameOf(outer)]);
    expect(here()).toBe(before);
  });

  test("inNetns() stays outside of a namespace of another kind, and of one that was closed", async () => {
    const before = here();
    using mounts = findNetns("/proc/self/ns/mnt");
    if (mounts === undefined) throw new Error("Cannot open the mount namespace");
    expect(() => inNetns(mounts, here)).toThrow(
      "Cannot enter network namespace /proc/self/ns/mnt: invalid argument (EINVAL)",
    );
    await using netns = await createNetns();
    const closed = openNetns(netns);
    closed[Symbol.dispose]();
    expect(() => inNetns(closed, here)).toThrow("Cannot use file descriptor: it is closed");
    expect(here()).toBe(before);
  });

  test("inNetns() leaves no descriptor behind", async () => {
    await using netns = await createNetns();
    const before = readdirSync("/proc/self/fd").length;
    for (let count = 0; count < 20; count++) {
      using namespace = openNetns(netns);
      inNetns(namespace, here);
      expect(() =>
        inNetns(namespace, () => {
          throw new Error("out");
        }),
      ).toThrow("out");
    }
    // The test runner itself may close one meanwhile; what each of the rounds left would add up.
    expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before);
  });

  test("only the calling thread is moved: what is started afterwards is outside", async () => {
    await using netns = await createNetns();
    using namespace = openNetns(netns);
    inNetns(namespace, here);
    const { stdout } = await runCommand(["readlink", "/proc/self/ns/net"]);
    expect(stdout.trim()).toBe(here());
    expect(await Bun.file("/proc/self/net/dev").text()).toBe(readFileSync("/proc/self/net/dev", "utf8"));
  });

  test("Netns.identity is one for all paths to a namespace, and another for another", async () => {
    await using netns = await createNetns();
    await using other = await createNetns();
    await using sleeper = netns.start(["sleep", "60"]);
    await sleeper.waitUntil("it is inside", () => {
      return readlinkSync(`/proc/${sleeper.pid}/ns/net`) !== here();
    });
    using mounted = openNetns(netns);
    using ofProcess = findNetns(`/proc/${sleeper.pid}/ns/net`);
    using another = openNetns(other);
    expect(ofProcess?.identity).toBe(mounted.identity);
    expect(inNetns(mounted, ownNetnsIdentity)).toBe(mounted.identity);
    expect(another.identity).not.toBe(mounted.identity);
    expect(ownNetnsIdentity()).not.toBe(mounted.identity);
    await sleeper.stop();
  });

  test("findNetns() refuses the file that is left when a namespace was unmounted", async () => {
    await using directory = await createTemporaryDirectory();
    await using netns = await createNetns();
    const path = await directory.write("pod", "");
    await runCommand(["mount", "--bind", netns.path, path]);
    findNetns(path)?.[Symbol.dispose]();
    await runCommand(["umount", path]);
    expect(() => findNetns(path)).toThrow(NotANamespaceError);
  });

  test("an open Netns keeps its namespace when the name has gone", async () => {
    await using netns = await createNetns();
    const name = await nameOf(netns);
    using namespace = openNetns(netns);
    await netns.remove();
    expect(findNetns(netns.path)).toBeUndefined();
    expect(inNetns(namespace, here)).toBe(name);
  });

  test("writeSysctl() and ensureSysctl() write the settings of the namespace that the thread is in", async () => {
    await using netns = await createNetns();
    using namespace = openNetns(netns);
    const outside = forwarding();
    const key = "net/ipv4/conf/lo/forwarding";
    const seen = inNetns(namespace, () => {
      const values = [forwarding()];
      for (const value of ["1", "1", "0", "1"]) {
        ensureSysctl(key, value);
        values.push(forwarding());
      }
      writeSysctl(key, "0");
      return [...values, forwarding()];
    });
    expect(seen.slice(1)).toEqual(["1", "1", "0", "1", "0"]);
    expect(forwarding()).toBe(outside);
    expect((await netns.run(["cat", `/proc/sys/${key}`])).stdout).toBe("0\n");
    expect(() => inNetns(namespace, () => writeSysctl(key, "many"))).toThrow(`Cannot write /proc/sys/${key}: invalid`);
  });
});

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";

import { findLeaks, leakLines, listOwnDevices } from "../../helpers/leaks.ts";
import { createNetns } from "../../helpers/netns.ts";
import { createNode } from "../../helpers/node.ts";
import { describeWith } from "../../helpers/require.ts";
import { runId } from "../../helpers/run-id.ts";

await describeWith(["root", "tool:unshare", "tool:nsenter"], "a node", () => {
  test("has its own network, processes and directories, and nothing reaches the machine", async () => {
    const mark = "etc/cni/net.d/tartan-test-mark";
    await using node = await createNode();
    await node.write(mark, "here");
    expect((await node.run(["cat", `/${mark}`])).stdout).toBe("here");
    expect(existsSync(`/${mark}`)).toBe(false);
    await node.run(["touch", "/var/lib/cni/written-inside"]);
    expect(existsSync(node.path("var/lib/cni/written-inside"))).toBe(true);
    expect(existsSync("/var/lib/cni/written-inside")).toBe(false);
    const links = await node.run(["ip", "-o", "link", "show"]);
    expect(links.stdout.trim().split("\n")).toHaveLength(1);
    expect((await node.run(["cat", "/etc/os-release"])).stdout).not.toBe("");
  });

  test("sees the namespaces of pods that were made after it", async () => {
    await using node = await createNode();
    await using pod = await createNetns();
    const script = "ip link add name a type veth peer name b && ip -br link";
    const { stdout } = await node.run(["nsenter", `--net=${pod.path}`, "sh", "-c", script]);
    expect(stdout).toContain("a@b");
  });

  test("signals reach the program that was started, and its exit code comes back", async () => {
    await using node = await createNode();
    const script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    await using program = node.start(["sh", "-c", script]);
    await program.waitUntil("it is ready", () => program.stdout.includes("ready"));
    expect(await program.stop()).toBe(7);
  });

  test("ends with every process it had, and leaves nothing that carries its name", async () => {
    const devices = await listOwnDevices();
    let name = "";
    {
      await using node = await createNode();
      ({ name } = node.netns);
      node.start(["sleep", "1000"]);
      const leaks = leakLines(await findLeaks(runId(), devices));
      expect(leaks.filter((line) => line.includes(name))).not.toEqual([]);
    }
    const leaks = leakLines(await findLeaks(runId(), devices));
    expect(leaks.filter((line) => line.includes(name))).toEqual([]);
  });
});

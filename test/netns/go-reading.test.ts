import { expect, test } from "bun:test";

import { callCni } from "../helpers/cni.ts";
import { createCniHost } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(["root", "executable"], "what Go's readers refuse", () => {
  test("a byte order mark, and an IPv4 subnet written as an IPv6 one", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const reply = await callCni(host.netns, {
      plugin: `${host.plugins}/host-local`,
      command: "ADD",
      containerId: pod.containerId,
      netns: pod.netns.path,
      ifname: "eth0",
      cniPath: host.plugins,
      config: `\ufeff${JSON.stringify(host.hostLocalConfig())}`,
    });
    expect(outcome(reply)).toStartWith("6 error unmarshall network config: Cannot read the document: it is not JSON");
    const mapped = host.hostLocalConfig({ ipam: host.ipamConfig({ ranges: [[{ subnet: "::ffff:10.1.0.0/120" }]] }) });
    expect(outcome(await host.call("ADD", mapped, { pod }))).toBe(
      '7 Cannot read "ipam.ranges[0][0].subnet": it must be a subnet like 10.244.1.0/24, and is the string "::ffff:10.1.0.0/120"',
    );
    expect((await host.leftovers()).filter((line) => line.startsWith("file"))).toEqual([]);
  });
});

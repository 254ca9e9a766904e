import { expect, test } from "bun:test";

import { callCni, type CniReply, resultAddresses } from "../helpers/cni.ts";
import { type CniHost, createCniHost, type TestPod } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";

/** Runs host-local where every hard link fails as on a file system that has none. */
function callWithoutLinks(host: CniHost, error: string, command: string, pod: TestPod): Promise<CniReply> {
  const strace = [
    "strace",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=link,linkat",
    "-e",
    `inject=link,linkat:error=${error}`,
  ];
  return callCni(
    { run: (argv, options) => host.netns.run([...strace, ...argv], options) },
    {
      plugin: `${host.plugins}/host-local`,
      command,
      containerId: pod.containerId,
      netns: pod.netns.path,
      ifname: "eth0",
      cniPath: host.plugins,
      config: host.hostLocalConfig(),
    },
  );
}

await describeWith(["root", "executable", "tool:strace"], "host-local on a file system without hard links", () => {
  for (const error of ["EPERM", "EOPNOTSUPP"]) {
    test(`ADD makes the address file itself, and DEL finds it (${error})`, async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const [linked, first, second] = [await host.addPod(), await host.addPod(), await host.addPod()];
      await host.add(host.hostLocalConfig(), { pod: linked });
      const before = await host.leftovers();
      expect(resultAddresses(await callWithoutLinks(host, error, "ADD", first))).toEqual(["10.244.1.3/24"]);
      expect(resultAddresses(await callWithoutLinks(host, error, "ADD", second))).toEqual(["10.244.1.4/24"]);
      const files = (await host.leftovers()).filter(
        (line) => !before.includes(line) && !line.includes("last_reserved"),
      );
      expect(files).toEqual([
        `file networks/cbr0/10.244.1.3 ${JSON.stringify(`${first.containerId}\r\neth0`)}`,
        `file networks/cbr0/10.244.1.4 ${JSON.stringify(`${second.containerId}\r\neth0`)}`,
      ]);
      expect(outcome(await callWithoutLinks(host, error, "ADD", first))).toContain("10.244.1.3 has been allocated to");
      expect(outcome(await callWithoutLinks(host, error, "DEL", first))).toBe("ok");
      await host.delete(host.hostLocalConfig(), { pod: second });
      const left = (await host.leftovers()).filter((line) => !line.includes("last_reserved"));
      expect(left).toEqual(before.filter((line) => !line.includes("last_reserved")));
    });
  }
});

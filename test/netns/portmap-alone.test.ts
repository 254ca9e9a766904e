/** Host ports need nobody's help, and cost the same whatever else is in the ruleset. */
import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";

import { askMirror, startMirror } from "../helpers/mirror.ts";
import { podElements } from "../helpers/nftables.ts";
import { createPortHost, hostAddress, mapping, outsideAddress } from "../helpers/port-host.ts";
import { describeWith } from "../helpers/require.ts";

const foreignRules = 10_000;

await describeWith(["root", "executable", "link:veth", "tool:nft", "tool:strace"], "host ports alone", () => {
  test("ADD and DEL of flannel with host ports and masquerade start no program and take no lock of iptables", async () => {
    await using place = await createPortHost();
    const { host } = place;
    const pod = await host.addPod();
    const file = host.directory.join("trace");
    const config = host.flannelConfig({
      cniVersion: "1.0.0",
      delegate: { hairpinMode: true, isDefaultGateway: true, ipMasq: true },
      runtimeConfig: { portMappings: [mapping(8080, 80), mapping(53, 53, "udp")] },
    });
    for (const command of ["ADD", "DEL"]) {
      const variables = {
        PATH: "",
        CNI_COMMAND: command,
        CNI_CONTAINERID: pod.containerId,
        CNI_NETNS: pod.netns.path,
        CNI_IFNAME: "eth0",
        CNI_PATH: host.plugins,
      };
      const words = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
      const trace = ["strace", "-f", "-qq", "-o", file, "-e", "trace=execve,openat,open,flock"];
      // What env replaces itself with is the first program; there is to be no other.
      await host.netns.run([...trace, "env", "-i", ...words, `${host.plugins}/flannel`], {
        stdin: JSON.stringify(config),
      });
      const lines = (await readFile(file, "utf8")).split("\n");
      expect(lines.filter((line) => line.includes("xtables"))).toEqual([]);
      expect(lines.filter((line) => line.includes("execve("))).toHaveLength(2);
      expect(await podElements(host.netns)).toHaveLength(command === "ADD" ? 10 : 0);
    }
  });

  test(`beside ${foreignRules.toLocaleString("en")} rules of others a host port works, and they are as they were`, async () => {
    await using place = await createPortHost();
    const { host, outside } = place;
    const rules = Array.from({ length: foreignRules }, (_, number) => {
      const address = `10.96.${number >> 8}.${number & 255}`;
      return `add rule ip nat KUBE-SERVICES ip daddr ${address} tcp dport 80 counter dnat to 10.244.9.1:8080`;
    });
    const frame = [
      "add table ip nat",
      "add chain ip nat KUBE-SERVICES",
      "add chain ip nat PREROUTING { type nat hook prerouting priority -100; }",
      "add rule ip nat PREROUTING jump KUBE-SERVICES",
    ];
    await host.netns.run(["nft", "-f", "-"], { stdin: [...frame, ...rules].join("\n") });
    const before = await host.netns.run(["nft", "-s", "list", "table", "ip", "nat"]);
    const pod = await host.addPod();
    const config = host.flannelConfig({ cniVersion: "1.0.0", runtimeConfig: { portMappings: [mapping(8080, 80)] } });
    await host.add(config, { pod });
    await using mirrors = new AsyncDisposableStack();
    mirrors.use(await startMirror(pod.netns, "web", 80));
    expect(await askMirror(outside, hostAddress[4], 8080)).toBe(`web ${outsideAddress[4]}`);
    await host.delete(config, { pod });
    expect(await podElements(host.netns)).toEqual([]);
    expect((await host.netns.run(["nft", "-s", "list", "table", "ip", "nat"])).stdout).toBe(before.stdout);
  });
});

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type CniHost, createCniHost } from "../helpers/cni-host.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { podElements } from "../helpers/nftables.ts";
import { describeWith } from "../helpers/require.ts";

/** What there is of pods: links, addresses and files, but not what outlives them. */
async function podTraces(host: CniHost): Promise<readonly string[]> {
  const lines = await host.leftovers();
  return lines.filter((line) => /veth|networks\/\w+\/(?:10\.|fd)|file flannel\//.test(line));
}

await describeWith(
  ["root", "executable", "link:veth", "link:bridge"],
  "flannel, when its network has got another name",
  () => {
    test("DEL frees all that ADD made when the network has another name by now, and nothing of the container's other network", async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const mapping = { hostPort: 8080, containerPort: 80, protocol: "tcp" };
      const members = {
        delegate: { isDefaultGateway: true, ipMasq: true },
        runtimeConfig: { portMappings: [mapping] },
      };
      const before = await podTraces(host);
      for (const netns of [undefined, ""]) {
        const pod = await host.addPod();
        const other = host.flannelConfig({ name: "other" });
        await host.add(other, { pod, ifname: "net1" });
        const others = await podTraces(host);
        await host.add(host.flannelConfig(members), { pod });
        expect(await podElements(host.netns)).not.toEqual([]);
        const renamed = host.flannelConfig({ ...members, name: "renamed" });
        const start = netns === undefined ? { pod } : { pod, netns };
        await host.delete(renamed, start);
        expect(await podElements(host.netns)).toEqual([]);
        expect(await podTraces(host)).toEqual(others);
        await host.delete(host.flannelConfig({ name: "again" }), { ...start, ifname: "net1" });
        expect(await podTraces(host)).toEqual(before);
      }
    });

    test("DEL after an ADD that was tried again under another name frees what either has left", async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const pod = await host.addPod();
      await host.add(host.flannelConfig(), { pod });
      await pod.netns.ip("link", "delete", "eth0");
      const renamed = host.flannelConfig({ name: "renamed" });
      await host.add(renamed, { pod });
      await host.delete(renamed, { pod });
      expect(await podTraces(host)).toEqual([]);
    });

    test("DEL with upstream's file, which names no interface and another network, deletes by both", async () => {
      await using plugins = await createExecutableDirectory();
      await using host = await createCniHost(plugins.path);
      const pod = await host.addPod();
      for (const name of ["cbr0", "other"]) {
        await host.add(host.flannelConfig(), { pod });
        const kept = (await readFile(join(host.flannelDirectory, pod.containerId), "utf8")).replace(
          ',"tartan.interface":"eth0"',
          "",
        );
        await writeFile(join(host.flannelDirectory, pod.containerId), kept.replace('"cbr0"', `"${name}"`));
        await host.delete(host.flannelConfig(name === "cbr0" ? { name: "renamed" } : {}), { pod });
        expect(await podTraces(host)).toEqual([]);
      }
    });
  },
);

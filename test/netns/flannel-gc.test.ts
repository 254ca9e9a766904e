import { expect, test } from "bun:test";
import { readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type CniHost, createCniHost } from "../helpers/cni-host.ts";
import { collect, outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";

const newest = { cniVersion: "1.1.0" };

/** Writes a file into flannel's directory; `age` is how many seconds ago. */
async function keep(host: CniHost, name: string, content: string, age = 0): Promise<void> {
  const path = join(host.flannelDirectory, name);
  await writeFile(path, content);
  const time = Date.now() / 1000 - age;
  await utimes(path, time, time);
}

await describeWith(["root", "executable", "link:veth", "link:bridge"], "GC of flannel's files", () => {
  test("removes the temporary file of a killed ADD, and none that somebody may still be writing", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.flannelConfig(newest);
    const pod = await host.addPod();
    await host.add(config, { pod });
    const content = await readFile(join(host.flannelDirectory, pod.containerId), "utf8");
    await keep(host, ".gone1.tartan", content);
    await keep(host, ".gone2:eth0.tartan", content);
    await keep(host, `.${pod.containerId}.tartan`, content);
    await keep(host, ".other1.tartan", content.replace('"cbr0"', '"other"'), 3600);
    await keep(host, ".torn1.tartan", content.slice(0, 40), 3600);
    await keep(host, ".torn2.tartan", "", 3600);
    await keep(host, ".young1.tartan", content.slice(0, 40));
    await keep(host, ".young2.tartan", "");
    await keep(host, ".un named.tartan", "", 3600);
    await keep(host, ".notes.txt", "", 3600);
    expect(outcome(await collect(host, config, [pod]))).toBe("ok");
    const lasting = [".notes.txt", ".other1.tartan", ".un named.tartan", ".young1.tartan", ".young2.tartan"];
    const own = [`.${pod.containerId}.tartan`, pod.containerId];
    expect((await readdir(host.flannelDirectory)).toSorted()).toEqual([...own, ...lasting].toSorted());
    expect(outcome(await collect(host, config, []))).toBe("ok");
    expect((await readdir(host.flannelDirectory)).toSorted()).toEqual(lasting.toSorted());
  });

  test("frees addresses where ADD put them, although the configuration names another place by now", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const [kept, stale] = [await host.addPod(), await host.addPod()];
    for (const pod of [kept, stale]) await host.add(host.flannelConfig(newest), { pod });
    const changed = host.flannelConfig({ ...newest, ipam: { dataDir: host.directory.join("elsewhere") } });
    expect(outcome(await collect(host, changed, [kept]))).toBe("ok");
    const files = (await host.leftovers()).filter((line) => /file (?:flannel|networks\/cbr0\/10)/.test(line));
    expect(files).toHaveLength(2);
    for (const line of files) expect(line).toContain(kept.containerId);
  });
});

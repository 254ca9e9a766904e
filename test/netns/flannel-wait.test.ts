import { expect, test } from "bun:test";
import { mkdir, readFile, rename, rm, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

import { createCniHost } from "../helpers/cni-host.ts";
import { resultAddresses } from "../helpers/cni.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";

const newest = { cniVersion: "1.1.0" };

async function timed<T>(work: Promise<T>): Promise<readonly [answer: T, seconds: number]> {
  const started = performance.now();
  const answer = await work;
  return [answer, (performance.now() - started) / 1000];
}

await describeWith(["root", "executable", "link:veth", "link:bridge"], "flannel before the daemon has run", () => {
  test("ADD waits for subnet.env and goes on the moment it is there, while STATUS says 50 at once", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    // As on a node that joins: the directory is not there either.
    const subnetFile = host.directory.join("run/flannel/subnet.env");
    const config = { ...host.flannelConfig(newest), subnetFile };
    const adding = timed(host.add(config, { pod: await host.addPod() }));
    await Bun.sleep(1500);
    const [status, seconds] = await timed(host.call("STATUS", config, { pod: await host.addPod() }));
    expect(status.error?.code).toBe(50);
    expect(seconds).toBeLessThan(1);
    await mkdir(dirname(subnetFile), { recursive: true });
    await Bun.sleep(200);
    // What the daemon does: a temporary file, and a rename.
    await Bun.write(join(dirname(subnetFile), ".subnet.env.new"), await readFile(host.subnetFile));
    const written = performance.now();
    await rename(join(dirname(subnetFile), ".subnet.env.new"), subnetFile);
    const [added, waited] = await adding;
    expect(resultAddresses(added)).toEqual(["10.244.1.2/24"]);
    expect(performance.now() - written).toBeLessThan(1000);
    expect(waited).toBeGreaterThan(1.5);
    expect((await host.call("STATUS", config, { pod: await host.addPod() })).exitCode).toBe(0);
    await rm(host.directory.join("run"), { recursive: true });
  });

  test("ADD says 11 after 10 s, and what is missing; DEL and an ADD without a pod do not wait", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    await unlink(host.subnetFile);
    const pod = await host.addPod();
    const [reply, waited] = await timed(host.call("ADD", host.flannelConfig(), { pod }));
    expect(reply.error?.code).toBe(11);
    expect(reply.error?.msg).toBe(
      `failed to load flannel 'subnet.env' file: Cannot open ${host.subnetFile}: no such file or directory (ENOENT).` +
        " Check the flannel pod log for this node.",
    );
    expect(waited).toBeGreaterThan(9.9);
    expect(waited).toBeLessThan(12);
    const [, deleting] = await timed(host.delete(host.flannelConfig(), { pod }));
    expect(deleting).toBeLessThan(2);
    const gone = host.call("ADD", host.flannelConfig(), { pod, netns: "/nonexistent/netns" });
    const [refused, unwaited] = await timed(gone);
    expect(refused.error?.code).toBe(11);
    expect(unwaited).toBeLessThan(2);
  });
});

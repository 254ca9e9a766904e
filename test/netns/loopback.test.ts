import { expect, test } from "bun:test";

import type { JsonObject } from "../../src/base/decode.ts";
import { createCniHost } from "../helpers/cni-host.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { findLink } from "../helpers/kernel.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";
import { createUpstreamDirectory } from "../helpers/upstream.ts";

/** As containerd configures it. */
const config = { cniVersion: "0.3.1", name: "cni-loopback", type: "loopback" };

async function isUp(netns: TestNetns): Promise<boolean | undefined> {
  return (await findLink(netns, "lo"))?.up;
}

function resultFor(sandbox: string): JsonObject {
  return {
    cniVersion: "0.3.1",
    interfaces: [{ name: "lo", mac: "00:00:00:00:00:00", sandbox }],
    ips: [
      { version: "4", interface: 0, address: "127.0.0.1/8" },
      { version: "6", interface: 0, address: "::1/128" },
    ],
    dns: {},
  };
}

await describeWith(["root", "executable"], "loopback", () => {
  test("ADD sets lo up, whatever the interface is called, and DEL sets it down", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    expect(await isUp(pod.netns)).toBe(false);
    const added = await host.add(config, { pod, ifname: "eth0" });
    expect(added).toMatchObject({ result: resultFor(pod.netns.path), stderr: "" });
    expect(await isUp(pod.netns)).toBe(true);
    expect((await host.add(config, { pod, ifname: "lo" })).result).toEqual(resultFor(pod.netns.path));
    expect(await host.delete(config, { pod })).toMatchObject({ stdout: "", stderr: "" });
    expect(await isUp(pod.netns)).toBe(false);
    await host.delete(config, { pod });
    expect(await isUp(host.netns)).toBe(true);
  });

  test("ADD tells the addresses in the form of old versions", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    for (const cniVersion of ["0.1.0", "0.2.0"]) {
      const { result } = await host.add({ ...config, cniVersion }, { pod });
      expect(result).toEqual({ cniVersion, ip4: { ip: "127.0.0.1/8" }, ip6: { ip: "::1/128" }, dns: {} });
    }
  });

  test("ADD passes on what plugins before it made", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const prevResult = { cniVersion: "1.0.0", ips: [{ address: "10.0.0.2/24" }] };
    const added = await host.add({ ...config, cniVersion: "1.0.0", prevResult }, { pod });
    expect(added.result).toEqual(prevResult);
    expect(await isUp(pod.netns)).toBe(true);
  });

  test("ADD refuses a lo that has another address", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await pod.netns.ip("address", "add", "10.0.0.2/24", "dev", "lo");
    const reply = await host.call("ADD", config, { pod });
    expect(reply.error?.msg).toBe('loopback interface found with non-loopback address "10.0.0.2"');
  });

  test("DEL succeeds when the namespace is gone or unknown, and ADD does not", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const plain = await host.directory.write("plain file", "");
    for (const netns of ["", "/nonexistent/netns", plain]) await host.delete(config, { pod, netns });
    for (const netns of ["/nonexistent/netns", plain]) {
      const reply = await host.call("ADD", config, { pod, netns });
      expect(reply.exitCode).toBe(1);
      expect(reply.error?.msg).toContain(netns);
    }
  });
});

await describeWith(["root", "executable", "peer:cni-plugins"], "loopback beside upstream's", () => {
  // For older versions upstream prints the form of 1.0.0 under the old version's name, without conversion.
  for (const cniVersion of ["1.0.0", "1.1.0"]) {
    test(`ADD in version ${cniVersion} prints what upstream's prints, and each takes back what the other did`, async () => {
      await using theirs = await createUpstreamDirectory();
      await using ours = await createExecutableDirectory();
      await using host = await createCniHost(ours.path);
      const pod = await host.addPod();
      const wanted = await host.add({ ...config, cniVersion }, { pod, plugins: theirs.path });
      await host.delete({ ...config, cniVersion }, { pod });
      expect(await isUp(pod.netns)).toBe(false);
      const got = await host.add({ ...config, cniVersion }, { pod });
      expect(got.result).toEqual(wanted.result ?? {});
      await host.delete({ ...config, cniVersion }, { pod, plugins: theirs.path });
      expect(await isUp(pod.netns)).toBe(false);
    });
  }
});

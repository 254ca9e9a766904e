import { expect, test } from "bun:test";

import { createCniHost } from "../helpers/cni-host.ts";
import { resultAddresses } from "../helpers/cni.ts";
import { eventually } from "../helpers/eventually.ts";
import { createExecutableDirectory, executablePath, linkPrograms } from "../helpers/executable.ts";
import { listAddresses } from "../helpers/kernel.ts";
import { describeWith } from "../helpers/require.ts";
import { createUpstreamDirectory, upstreamPlugins } from "../helpers/upstream.ts";

/** What outlives the first pod of a host, whoever made it: the bridge, and what host-local remembers. */
const lasting = [
  "address 10.244.1.1/24 dev cni0",
  'file networks/cbr0/last_reserved_ip.0 "10.244.1.2"',
  'file networks/cbr0/lock ""',
  "link cni0 type bridge up",
  "route 10.244.1.0/24 dev cni0 proto kernel",
] as const;

/** Of host-local alone only the files are left. */
const lastingFiles = lasting.filter((line) => line.startsWith("file "));

const needed = ["root", "executable", "link:veth", "link:bridge", "peer:cni-plugins", "peer:flannel-cni"] as const;

await describeWith(needed, "beside upstream's plugins", () => {
  test("flannel deletes a pod that upstream added", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(theirs.path);
    const pod = await host.addPod();
    const config = host.flannelConfig();
    await host.add(config, { pod });
    await host.delete(config, { pod, plugins: ours.path });
    expect(await host.leftovers()).toEqual([...lasting]);
    expect(await listAddresses(pod.netns)).toEqual([]);
  });

  test("upstream deletes a pod that flannel added", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(ours.path);
    const pod = await host.addPod();
    const config = host.flannelConfig();
    await host.add(config, { pod });
    await host.delete(config, { pod, plugins: theirs.path });
    expect(await host.leftovers()).toEqual([...lasting]);
    expect(await listAddresses(pod.netns)).toEqual([]);
  });

  test("flannel deletes a pod that upstream added when the pod's namespace is gone", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(theirs.path);
    const pod = await host.addPod();
    const config = host.flannelConfig();
    await host.add(config, { pod });
    await pod.netns.remove();
    await host.delete(config, { pod, plugins: ours.path });
    expect(await eventually(() => host.leftovers(), lasting)).toEqual([...lasting]);
  });

  test("flannel deletes a pod that upstream added when the runtime no longer knows the namespace", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(theirs.path);
    const pod = await host.addPod();
    const config = host.flannelConfig();
    await host.add(config, { pod });
    await pod.netns.remove();
    await host.delete(config, { pod, plugins: ours.path, netns: "" });
    await host.delete(config, { pod, plugins: ours.path, netns: "" });
    expect(await eventually(() => host.leftovers(), lasting)).toEqual([...lasting]);
  });

  test("bridge deletes what upstream's bridge added, and the other way round", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    for (const [adding, deleting] of [
      [theirs, ours],
      [ours, theirs],
    ] as const) {
      await using host = await createCniHost(adding.path);
      const pod = await host.addPod();
      const config = host.bridgeConfig();
      await host.add(config, { pod });
      await host.delete(config, { pod, plugins: deleting.path });
      expect(await host.leftovers()).toEqual([...lasting]);
    }
  });

  test("host-local frees what upstream's host-local reserved, and the other way round", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    for (const [adding, deleting] of [
      [theirs, ours],
      [ours, theirs],
    ] as const) {
      await using host = await createCniHost(adding.path);
      const pod = await host.addPod();
      const config = host.hostLocalConfig();
      const added = await host.add(config, { pod });
      expect(resultAddresses(added)).toEqual(["10.244.1.2/24"]);
      await host.delete(config, { pod, plugins: deleting.path });
      expect(await host.leftovers()).toEqual(lastingFiles);
    }
  });

  test("pods of both have different addresses on one bridge and reach one another", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(ours.path);
    const config = host.flannelConfig();
    const [first, second, third] = [await host.addPod(), await host.addPod(), await host.addPod()];
    expect(resultAddresses(await host.add(config, { pod: first }))).toEqual(["10.244.1.2/24"]);
    expect(resultAddresses(await host.add(config, { pod: second, plugins: theirs.path }))).toEqual(["10.244.1.3/24"]);
    expect(resultAddresses(await host.add(config, { pod: third }))).toEqual(["10.244.1.4/24"]);
    const ping = ["ping", "-c", "1", "-W", "2"];
    await first.netns.run([...ping, "10.244.1.3"]);
    await second.netns.run([...ping, "10.244.1.4"]);
    await third.netns.run([...ping, "10.244.1.2"]);
  });
});

await describeWith(needed, "called by upstream's plugins and calling them", () => {
  test("bridge and host-local serve upstream's flannel", async () => {
    await using mixed = await linkPrograms({
      ...upstreamPlugins,
      bridge: executablePath,
      "host-local": executablePath,
    });
    await using host = await createCniHost(mixed.path);
    const pod = await host.addPod();
    const config = host.flannelConfig();
    const added = await host.add(config, { pod });
    expect(resultAddresses(added)).toEqual(["10.244.1.2/24"]);
    await host.delete(config, { pod });
    expect(await host.leftovers()).toEqual([...lasting]);
  });

  test("flannel uses its own bridge and host-local, whatever lies on CNI_PATH", async () => {
    await using alone = await linkPrograms({ flannel: executablePath });
    await using misled = await linkPrograms({
      flannel: executablePath,
      bridge: "/bin/false",
      "host-local": "/bin/false",
    });
    await using host = await createCniHost(alone.path);
    const config = host.flannelConfig();
    const [first, second] = [await host.addPod(), await host.addPod()];
    expect(resultAddresses(await host.add(config, { pod: first }))).toEqual(["10.244.1.2/24"]);
    await host.delete(config, { pod: first, plugins: misled.path });
    expect(await host.leftovers()).toEqual([...lasting]);
    expect(resultAddresses(await host.add(config, { pod: second, plugins: misled.path }))).toEqual(["10.244.1.3/24"]);
  });

  test("host-local serves upstream's bridge", async () => {
    await using mixed = await linkPrograms({ ...upstreamPlugins, "host-local": executablePath });
    await using host = await createCniHost(mixed.path);
    const pod = await host.addPod();
    const config = host.bridgeConfig();
    expect(resultAddresses(await host.add(config, { pod }))).toEqual(["10.244.1.2/24"]);
    await host.delete(config, { pod });
    expect(await host.leftovers()).toEqual([...lasting]);
  });

  test("bridge executes an ipam type that is not ours", async () => {
    await using mixed = await linkPrograms({ ...upstreamPlugins, bridge: executablePath });
    await using host = await createCniHost(mixed.path);
    const pod = await host.addPod();
    const address = { address: "10.244.1.9/24", gateway: "10.244.1.1" };
    const config = host.bridgeConfig({ ipam: { type: "static", addresses: [address] } });
    expect(resultAddresses(await host.add(config, { pod }))).toEqual(["10.244.1.9/24"]);
    expect(await listAddresses(pod.netns)).toEqual([{ device: "eth0", address: "10.244.1.9/24", scope: "global" }]);
    await host.delete(config, { pod });
    expect(await host.leftovers()).toEqual(lasting.filter((line) => !line.startsWith("file ")));
  });

  test("flannel executes a delegate type that is not ours", async () => {
    await using mixed = await linkPrograms({
      ...upstreamPlugins,
      flannel: executablePath,
      "host-local": executablePath,
    });
    await using host = await createCniHost(mixed.path);
    const pod = await host.addPod();
    const config = host.flannelConfig({ delegate: { type: "ptp", ipMasq: false } });
    expect(resultAddresses(await host.add(config, { pod }))).toEqual(["10.244.1.2/24"]);
    await pod.netns.run(["ping", "-c", "1", "-W", "2", "10.244.1.1"]);
    await host.delete(config, { pod });
    expect(await host.leftovers()).toEqual(lastingFiles);
  });

  test("an ipam type that is nowhere on CNI_PATH is an error that names it, and leaves nothing", async () => {
    await using ours = await createExecutableDirectory(["bridge"]);
    await using host = await createCniHost(ours.path);
    const pod = await host.addPod();
    const before = await host.leftovers();
    const reply = await host.call("ADD", host.bridgeConfig({ ipam: { type: "whereabouts" } }), { pod });
    expect(reply.exitCode).not.toBe(0);
    expect(reply.error?.msg).toContain("whereabouts");
    const after = await host.leftovers();
    expect(after.filter((line) => !line.startsWith("link cni0"))).toEqual([...before]);
    expect(await listAddresses(pod.netns)).toEqual([]);
  });
});

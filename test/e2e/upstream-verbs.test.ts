import { expect, test } from "bun:test";

import type { JsonObject } from "../../src/base/decode.ts";
import { createCniHost } from "../helpers/cni-host.ts";
import { collect, outcome } from "../helpers/cni-network.ts";
import { eventually } from "../helpers/eventually.ts";
import { createExecutableDirectory, executablePath, linkPrograms } from "../helpers/executable.ts";
import { listLinks } from "../helpers/kernel.ts";
import { describeWith } from "../helpers/require.ts";
import { createUpstreamDirectory, upstreamPlugins } from "../helpers/upstream.ts";

const needed = ["root", "executable", "link:veth", "link:bridge", "peer:cni-plugins", "peer:flannel-cni"] as const;
const ranges = [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:10:244:1::/64" }]];

await describeWith(needed, "the other verbs beside upstream's plugins", () => {
  for (const type of ["bridge", "host-local"] as const) {
    test(`CHECK of ${type} agrees on a pod that the other one added`, async () => {
      await using theirs = await createUpstreamDirectory();
      await using ours = await createExecutableDirectory();
      for (const [adding, checking] of [
        [theirs, ours],
        [ours, theirs],
      ] as const) {
        await using host = await createCniHost(adding.path);
        const pod = await host.addPod();
        const ipam = host.ipamConfig({ ranges });
        const given = type === "bridge" ? host.bridgeConfig({ ipam }) : host.hostLocalConfig({ ipam });
        const config = { ...given, cniVersion: "1.0.0" };
        const { result } = await host.add(config, { pod });
        const checked = { ...config, prevResult: result ?? {} };
        expect(outcome(await host.call("CHECK", checked, { pod, plugins: checking.path }))).toBe("ok");
        await host.delete(config, { pod });
        const [wanted, got] = [
          outcome(await host.call("CHECK", checked, { pod, plugins: theirs.path })),
          outcome(await host.call("CHECK", checked, { pod, plugins: ours.path })),
        ];
        expect(got).toBe(wanted);
      }
    });
  }

  test("CHECK says the same of the same damage", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(ours.path);
    const config = host.bridgeConfig({ cniVersion: "1.0.0" });
    const damages: readonly (readonly string[])[] = [
      ["link", "set", "eth0", "address", "02:00:00:00:00:01"],
      ["link", "delete", "eth0"],
      ["route", "delete", "10.244.1.0/24"],
      ["address", "delete", "10.244.1.2/24", "dev", "eth0"],
    ];
    for (const words of damages) {
      const pod = await host.addPod();
      const { result } = await host.add(config, { pod });
      const address = /10\.244\.1\.(\d+)\/24/.exec(JSON.stringify(result))?.[1] ?? "";
      await pod.netns.ip(...words.map((word) => word.replace("10.244.1.2/24", `10.244.1.${address}/24`)));
      const checked = { ...config, prevResult: result ?? {} };
      const wanted = outcome(await host.call("CHECK", checked, { pod, plugins: theirs.path }));
      const got = outcome(await host.call("CHECK", checked, { pod }));
      expect(wanted).not.toBe("ok");
      expect(got).toBe(wanted);
      await host.delete(config, { pod });
    }
  });

  test("GC of flannel frees what upstream made of pods that are gone, and of one that still answers says so and frees nothing", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(ours.path);
    const config = host.flannelConfig({ cniVersion: "0.4.0" });
    const env = await Bun.file(host.subnetFile).text();
    const both = ["FLANNEL_IPV6_NETWORK=fd00:10:244::/56", "FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64"];
    await host.directory.write("subnet.env", `${env}${both.join("\n")}\n`);
    const [kept, living, gone] = [await host.addPod(), await host.addPod(), await host.addPod()];
    for (const pod of [kept, living, gone]) await host.add(config, { pod, plugins: theirs.path });
    // The kernel asks for IPv6 neighbours once it has looked for duplicates of its own address.
    const tentative = ["ip", "-6", "address", "show", "dev", "cni0", "tentative"];
    expect(await eventually(async () => (await host.netns.run(tentative)).stdout, "")).toBe("");
    // What the host remembers of an address is no answer.
    await host.netns.run(["ping", "-c", "1", "-W", "2", "10.244.1.4"]);
    await gone.netns.remove();
    const newest: JsonObject = { ...config, cniVersion: "1.1.0" };
    for (let time = 0; time < 2; time++) {
      const reply = await collect(host, newest, [kept]);
      expect(outcome(reply)).toBe("ok");
      const told = reply.stderr.trimEnd().split("\n").toSorted();
      expect(told.map((line) => line.split(":", 1)[0])).toEqual([
        `Cannot free 10.244.1.3 of container ${living.containerId}, which network "cbr0" no longer has`,
        `Cannot free fd00`,
      ]);
      const files = (await host.leftovers()).filter((line) => /file (?:flannel|networks\/cbr0\/(?:10|fd))/.test(line));
      expect(files).toHaveLength(6);
      for (const line of files) expect(line).not.toContain(gone.containerId);
      expect((await listLinks(host.netns)).filter(({ kind }) => kind === "veth")).toHaveLength(2);
    }
    await living.netns.ip("link", "delete", "eth0");
    const reply = await collect(host, newest, [kept]);
    expect([outcome(reply), reply.stderr]).toEqual(["ok", ""]);
    const files = (await host.leftovers()).filter((line) => /file (?:flannel|networks\/cbr0\/(?:10|fd))/.test(line));
    expect(files).toHaveLength(3);
    for (const line of files) expect(line).toContain(kept.containerId);
    await host.delete(newest, { pod: kept });
    expect((await listLinks(host.netns)).filter(({ kind }) => kind === "veth")).toEqual([]);
  });

  test("GC of flannel has upstream's bridge delete what is stale, since its own GC frees nothing", async () => {
    await using mixed = await linkPrograms({ ...upstreamPlugins, flannel: executablePath });
    await using host = await createCniHost(mixed.path);
    const config = host.flannelConfig({ cniVersion: "1.0.0", inProcess: false });
    const [kept, stale] = [await host.addPod(), await host.addPod()];
    for (const pod of [kept, stale]) await host.add(config, { pod });
    await stale.netns.remove();
    const newest: JsonObject = { ...config, cniVersion: "1.1.0" };
    expect(outcome(await collect(host, newest, [kept]))).toBe("ok");
    const files = (await host.leftovers()).filter((line) => /file (?:flannel|networks\/cbr0\/10)/.test(line));
    expect(files).toHaveLength(2);
    for (const line of files) expect(line).toContain(kept.containerId);
    await host.delete(config, { pod: kept });
    expect((await listLinks(host.netns)).filter(({ kind }) => kind === "veth")).toEqual([]);
  });

  test("a further interface of a container has a file that upstream does not take for the container's", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(ours.path);
    const config = host.flannelConfig();
    const other = host.flannelConfig({ name: "other", delegate: { ipMasq: false, bridge: "cni1" } });
    const pod = await host.addPod();
    await host.add(config, { pod });
    await host.directory.write(
      "subnet.env",
      (await Bun.file(host.subnetFile).text()).replaceAll("10.244.1.", "10.244.7."),
    );
    await host.add(other, { pod, ifname: "net1" });
    await host.delete(config, { pod, plugins: theirs.path });
    await host.delete(other, { pod, ifname: "net1" });
    const files = (await host.leftovers()).filter((line) => /file (?:flannel|networks\/\w+\/10)/.test(line));
    expect(files).toEqual([]);
    expect((await listLinks(host.netns)).filter(({ kind }) => kind === "veth")).toEqual([]);
  });

  test("bridge hands CHECK on to an IPAM plugin of upstream's, with its error", async () => {
    await using mixed = await linkPrograms({ ...upstreamPlugins, bridge: executablePath });
    await using host = await createCniHost(mixed.path);
    const pod = await host.addPod();
    const config = host.bridgeConfig({ cniVersion: "1.0.0", inProcess: false });
    const { result } = await host.add(config, { pod });
    const checked = { ...config, prevResult: result ?? {} };
    expect(outcome(await host.call("CHECK", checked, { pod }))).toBe("ok");
    await host.directory.write("networks/cbr0/10.244.1.2", "other\r\neth0");
    expect(outcome(await host.call("CHECK", checked, { pod }))).toBe(
      `999 host-local: Failed to find address added by container ${pod.containerId}`,
    );
  });
});

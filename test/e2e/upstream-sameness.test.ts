import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { createCniHost } from "../helpers/cni-host.ts";
import type { CniHost } from "../helpers/cni-host.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { findLink } from "../helpers/kernel.ts";
import { describeWith } from "../helpers/require.ts";
import { expectSameness } from "../helpers/sameness.ts";
import { createUpstreamDirectory } from "../helpers/upstream.ts";

const needed = ["root", "executable", "link:veth", "link:bridge", "peer:cni-plugins", "peer:flannel-cni"] as const;

await describeWith(needed, "the same as upstream's plugins", () => {
  for (const version of ["0.3.0", "0.3.1", "0.4.0"]) {
    test(`flannel ADD in version ${version}: result, kernel state and files`, async () => {
      await expectSameness((host) => host.flannelConfig({ cniVersion: version }), version);
    });
  }

  for (const version of ["0.1.0", "0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]) {
    test(`bridge ADD in version ${version}: result, kernel state and files`, async () => {
      await expectSameness((host) => host.bridgeConfig({ cniVersion: version }), version);
    });

    test(`host-local ADD in version ${version}: result and files`, async () => {
      await expectSameness((host) => host.hostLocalConfig({ cniVersion: version }), version);
    });
  }

  // Under an older version upstream prints the form of the newest all the same, so that nothing can be compared.
  for (const version of ["1.0.0", "1.1.0"]) {
    test(`loopback ADD in version ${version}: result and kernel state`, async () => {
      await expectSameness(() => ({ cniVersion: version, name: "lo", type: "loopback" }), version);
    });
  }

  test("loopback DEL sets lo down, and is content when the namespace is gone", async () => {
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(ours.path);
    const pod = await host.addPod();
    const config = { cniVersion: "0.3.1", name: "lo", type: "loopback" };
    await host.add(config, { pod, ifname: "lo" });
    expect(await findLink(pod.netns, "lo")).toMatchObject({ up: true });
    await host.delete(config, { pod, ifname: "lo" });
    expect(await findLink(pod.netns, "lo")).toMatchObject({ up: false });
    await pod.netns.remove();
    await host.delete(config, { pod, ifname: "lo" });
  });

  test("bridge ADD without a gateway: result, kernel state and files", async () => {
    await expectSameness((host) => host.bridgeConfig({ isGateway: false, isDefaultGateway: false }), "0.3.1");
  });

  test("bridge ADD with two families: result, kernel state and files", async () => {
    await expectSameness((host) => {
      const ranges = [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:10:244:1::/64" }]];
      const routes = [{ dst: "10.244.0.0/16" }, { dst: "fd00:10:244::/48" }];
      return host.bridgeConfig({ cniVersion: "1.0.0", ipam: host.ipamConfig({ ranges, routes }) });
    }, "1.0.0");
  });

  test("host-local ADD takes up where the other left off, and wraps around", async () => {
    await using theirs = await createUpstreamDirectory();
    await using ours = await createExecutableDirectory();
    await using host = await createCniHost(ours.path);
    const ranges = [[{ subnet: "10.244.1.0/24", rangeStart: "10.244.1.10", rangeEnd: "10.244.1.12" }]];
    const config = host.hostLocalConfig({ ipam: host.ipamConfig({ ranges }) });
    const given: (readonly string[])[] = [];
    for (const plugins of [theirs.path, ours.path, theirs.path, ours.path, theirs.path]) {
      const pod = await host.addPod();
      await host.add(config, { pod, plugins });
      given.push(await reservedAddresses(host));
      await host.delete(config, { pod, plugins: plugins === ours.path ? theirs.path : ours.path });
    }
    expect(given.flat()).toEqual(["10.244.1.10", "10.244.1.11", "10.244.1.12", "10.244.1.10", "10.244.1.11"]);
  });
});

async function reservedAddresses(host: CniHost): Promise<readonly string[]> {
  const names = await readdir(join(host.networksDirectory, "cbr0"));
  return names.filter((name) => name.startsWith("10."));
}

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { isJsonObject, type JsonObject, parseJson } from "../../src/base/decode.ts";
import { type CniHost, createCniHost, subnetEnv, type TestPod } from "../helpers/cni-host.ts";
import { resultAddresses } from "../helpers/cni.ts";
import { createExecutableDirectory, repositoryRoot } from "../helpers/executable.ts";
import { describeWith } from "../helpers/require.ts";
import { createUpstreamDirectory } from "../helpers/upstream.ts";

/**
 * What the plugin of flannel v1.9.1 keeps of a pod with addresses of both families, whose list says 1.0.0: written here by
 * its documentation, since the newest plugin of flannel's that can be built for the tests knows IPv4 alone, up to 0.4.0.
 */
const fixture = join(repositoryRoot, "test/fixtures/flannel/state-v1.9.1.json");
const needed = ["root", "executable", "link:veth", "link:bridge", "peer:cni-plugins"] as const;

await describeWith(needed, "a state file of flannel's plugin v1.9.1, both families", () => {
  for (const [what, netns] of [
    ["with its namespace", undefined],
    ["without namespace and subnet.env", ""],
  ] as const) {
    test(`DEL frees all that upstream's bridge made by it, ${what}`, async () => {
      await using stack = new AsyncDisposableStack();
      const { host, pod } = await addByUpstream(stack);
      if (netns === "") await writeFile(host.subnetFile, "");
      await host.delete(flannelConfig(host), { pod, ...(netns === undefined ? {} : { netns }) });
      // Whoever no longer names the namespace has removed it, and with it the pair, whose name is random.
      if (netns === "") await pod.netns.remove();
      const left = (await host.leftovers()).filter((line) => /flannel\/|networks\/cbr0\/(?:10|fd)/.test(line));
      expect(left).toEqual([]);
      if (netns === undefined) expect((await host.leftovers()).filter((line) => line.includes("veth"))).toEqual([]);
    });
  }

  test("CHECK compares the pod with it", async () => {
    await using stack = new AsyncDisposableStack();
    const { host, pod, result } = await addByUpstream(stack);
    const config = { ...flannelConfig(host), prevResult: result };
    expect(await host.call("CHECK", config, { pod })).toMatchObject({ exitCode: 0, stdout: "" });
    await pod.netns.ip("-6", "addr", "flush", "dev", "eth0", "scope", "global");
    expect((await host.call("CHECK", config, { pod })).error?.msg).toContain("fd00:10:244:1::2");
  });

  test("ADD keeps the same, beside a member of its own", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createHost(plugins.path);
    const pod = await host.addPod();
    await host.add(flannelConfig(host), { pod });
    const kept = parseJson(await readFile(join(host.flannelDirectory, pod.containerId), "utf8"));
    expect(kept).toEqual({ ...(await readFixture(host)), "tartan.interface": "eth0" });
  });
});

interface AddedPod {
  readonly host: CniHost;
  readonly pod: TestPod;
  readonly result: JsonObject;
}

/** A pod that upstream's bridge has added with the configuration that upstream's flannel has kept. */
async function addByUpstream(stack: AsyncDisposableStack): Promise<AddedPod> {
  const ours = stack.use(await createExecutableDirectory());
  const theirs = stack.use(await createUpstreamDirectory());
  const host = stack.use(await createHost(ours.path));
  const pod = await host.addPod();
  const json = await readFixture(host);
  await host.directory.write(`flannel/${pod.containerId}`, JSON.stringify(json));
  const reply = await host.add(json, { pod, plugins: theirs.path });
  expect(resultAddresses(reply)).toEqual(["10.244.1.2/24", "fd00:10:244:1::2/64"]);
  return { host, pod, result: reply.result ?? {} };
}

async function createHost(plugins: string): Promise<CniHost> {
  const host = await createCniHost(plugins);
  const second = "FLANNEL_IPV6_NETWORK=fd00:10:244::/48\nFLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\n";
  await writeFile(host.subnetFile, `${subnetEnv.replace("IPMASQ=false", "IPMASQ=true")}${second}`);
  return host;
}

function flannelConfig(host: CniHost): JsonObject {
  return host.flannelConfig({ cniVersion: "1.0.0", delegate: { hairpinMode: true, isDefaultGateway: true } });
}

async function readFixture(host: CniHost): Promise<JsonObject> {
  const json = parseJson((await readFile(fixture, "utf8")).replace("NETWORKS", host.networksDirectory));
  if (!isJsonObject(json)) throw new Error(`Cannot read ${fixture}: it is no object`);
  return json;
}

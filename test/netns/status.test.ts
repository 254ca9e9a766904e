import { expect, test } from "bun:test";
import { chmod, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { callCni } from "../helpers/cni.ts";
import { type CniHost, createCniHost } from "../helpers/cni-host.ts";
import { callNetwork, outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { describeWith } from "../helpers/require.ts";
import type { JsonObject } from "../../src/base/decode.ts";

const newest = { cniVersion: "1.1.0" };
/** Room for two addresses beside the gateway. */
const small = { ranges: [[{ subnet: "10.9.0.0/29", rangeEnd: "10.9.0.3" }]] };

async function status(host: CniHost, config: JsonObject): Promise<string> {
  return outcome(await callNetwork(host, "STATUS", config));
}

/** Like status, with a directory that is read-only for the plugin. */
async function statusSealed(host: CniHost, directory: string, config: JsonObject): Promise<string> {
  const seal = `mount --bind ${directory} ${directory} && mount -o remount,bind,ro ${directory} && exec "$@"`;
  const sealed: Pick<TestNetns, "run"> = {
    run: (argv, options) => host.netns.run(["unshare", "--mount", "sh", "-c", seal, "sh", ...argv], options),
  };
  const plugin = join(host.plugins, typeof config["type"] === "string" ? config["type"] : "");
  return outcome(await callCni(sealed, { plugin, command: "STATUS", cniPath: host.plugins, config }));
}

await describeWith(["root", "executable", "link:veth", "link:bridge"], "STATUS", () => {
  test("is silent when an ADD can succeed, and makes nothing", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const before = await host.leftovers();
    const loopback = { ...newest, name: "lo", type: "loopback" };
    for (const config of [
      host.flannelConfig(newest),
      host.bridgeConfig(newest),
      host.hostLocalConfig(newest),
      loopback,
    ]) {
      expect(await status(host, config)).toBe("ok");
    }
    expect(await status(host, host.bridgeConfig({ ...newest, ipam: {}, isGateway: false }))).toBe("ok");
    expect(await host.leftovers()).toEqual(before);
  });

  test("is 50 without subnet.env and with one that cannot be used", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.flannelConfig(newest);
    const start = "50 failed to load flannel 'subnet.env' file: ";
    await writeFile(host.subnetFile, "FLANNEL_MTU=1450\n");
    expect(await status(host, config)).toStartWith(`${start}${host.subnetFile} is missing FLANNEL_NETWORK`);
    await unlink(host.subnetFile);
    expect(await status(host, config)).toStartWith(`${start}Cannot open ${host.subnetFile}: no such file`);
  });

  test("is 50 when a delegate is nowhere on CNI_PATH", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const missing = '50 failed to find plugin "nowhere" in path';
    for (const config of [
      host.flannelConfig({ ...newest, delegate: { type: "nowhere" } }),
      host.flannelConfig({ ...newest, delegate: { ipMasq: false }, ipam: { type: "nowhere" } }),
      host.bridgeConfig({ ...newest, ipam: { type: "nowhere" } }),
    ]) {
      expect(await status(host, config)).toStartWith(missing);
    }
  });

  test("is 50 when the plugins' files cannot be written", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const below = `${host.subnetFile}/below/it`;
    const sealed = await host.directory.write("sealed/file", "");
    for (const [dataDir, why] of [
      [below, "not a directory (ENOTDIR)"],
      [`${dirname(sealed)}/deep/er`, "read-only file system (EROFS)"],
    ] as const) {
      for (const config of [
        host.flannelConfig({ ...newest, dataDir }),
        host.flannelConfig({ ...newest, ipam: { dataDir } }),
        host.hostLocalConfig({ ...newest, ipam: host.ipamConfig({ dataDir }) }),
      ]) {
        const told = await statusSealed(host, dirname(sealed), config);
        expect(told).toStartWith(`50 Cannot write to ${dataDir}`);
        expect(told).toEndWith(why);
      }
    }
  });

  test("is 50 for devices that the kernel does not make", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const start = "50 failed to create bridge";
    for (const name of ["a/b", "a b", "a:b", "..", "."]) {
      const config = host.bridgeConfig({ ...newest, bridge: name });
      expect(await status(host, config)).toBe(`${start} "${name}": the kernel takes no such name`);
      expect((await host.call("ADD", config, { pod: await host.addPod() })).exitCode).toBe(1);
    }
    for (const mtu of [10, 67]) {
      const config = host.bridgeConfig({ ...newest, mtu });
      expect(await status(host, config)).toBe(`${start} "cni0": MTU ${mtu} is below the kernel's minimum, 68`);
      expect((await host.call("ADD", config, { pod: await host.addPod() })).exitCode).toBe(1);
    }
    const smallest = host.bridgeConfig({ ...newest, mtu: 68 });
    expect(await status(host, smallest)).toBe("ok");
    await host.add(smallest, { pod: await host.addPod() });
  });

  test("is 50 for a VLAN, just where the kernel has none", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    await host.netns.ip("link", "add", "cni0", "type", "bridge");
    const config = host.bridgeConfig({ ...newest, vlan: 100 });
    const told = await status(host, config);
    const { exitCode } = await host.call("ADD", config, { pod: await host.addPod() });
    expect(told).toStartWith(exitCode === 0 ? "ok" : '50 Cannot use VLANs with bridge "cni0": the kernel lacks them');
  });

  test("is 50 for a configuration that no ADD would take", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const cases: readonly (readonly [JsonObject, string])[] = [
      [host.flannelConfig({ delegate: { name: "x" } }), "'delegate' dictionary must not have 'name' field"],
      [
        host.flannelConfig({ capabilities: { portMappings: true }, markMasqBit: 32 }),
        "failed to parse config: MasqMarkBit",
      ],
      [host.flannelConfig({ subnetFile: 5 }), "failed to load flannel netconf file"],
      [host.flannelConfig({ delegate: { ipMasq: true, ipMasqBackend: "ebpf" } }), 'unknown ipmasq backend "ebpf"'],
      [host.bridgeConfig({ vlan: 5000 }), "invalid VLAN ID 5000"],
      [host.bridgeConfig({ mtu: "1450" }), 'failed to load netconf: Cannot read "mtu"'],
      [host.bridgeConfig({ promiscMode: true }), "cannot set hairpin mode and promiscuous mode"],
      [host.hostLocalConfig({ ipam: { type: "host-local" } }), "no IP ranges specified"],
      [
        host.hostLocalConfig({ ipam: host.ipamConfig({ resolvConf: "/nonexistent/resolv.conf" }) }),
        "Cannot open /nonex",
      ],
      [
        host.bridgeConfig({ ipam: host.ipamConfig({ ranges: [[{ subnet: "10.0.0.1/24" }]] }) }),
        "invalid range set 0: ",
      ],
    ];
    for (const [config, words] of cases)
      expect(await status(host, { ...config, ...newest })).toStartWith(`50 ${words}`);
  });

  test("is 50 when something else has the bridge's name, and when the kernel does not take that name", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    await host.netns.ip("link", "add", "cni0", "type", "veth", "peer", "name", "other");
    const words = '50 failed to create bridge "cni0": "cni0" already exists but is not a bridge';
    for (const config of [host.bridgeConfig(newest), host.flannelConfig(newest)]) {
      expect(await status(host, config)).toBe(words);
    }
    expect(await status(host, host.bridgeConfig({ ...newest, bridge: "other-bridge" }))).toBe("ok");
    const long = host.bridgeConfig({ ...newest, bridge: "a-name-that-is-too-long" });
    expect(await status(host, long)).toStartWith('50 failed to create bridge "a-name-that-is-too-long": ');
  });

  test("is 50 when the bridge has another address than the gateway, as ADD's error says, until somebody acts", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await host.netns.ip("link", "add", "cni0", "type", "bridge");
    const config = host.flannelConfig(newest);
    expect(await status(host, config)).toBe("ok");
    await host.netns.ip("address", "add", "10.244.7.1/24", "dev", "cni0");
    const words = 'failed to set bridge addr: "cni0" already has an IP address different from 10.244.1.1/24';
    for (const blocked of [config, host.bridgeConfig(newest)]) {
      expect(await status(host, blocked)).toBe(`50 ${words}`);
      expect((await host.call("ADD", blocked, { pod })).error?.msg).toBe(words);
    }
    for (const open of [
      host.flannelConfig({ ...newest, delegate: { forceAddress: true } }),
      host.bridgeConfig({ ...newest, isGateway: false, isDefaultGateway: false }),
      host.bridgeConfig({ ...newest, ipam: host.ipamConfig({ ranges: [[{ subnet: "10.244.7.0/24" }]] }) }),
      // One gateway is not in the way of another.
      host.bridgeConfig({
        ...newest,
        ipam: host.ipamConfig({ ranges: [[{ subnet: "10.244.8.0/24" }], [{ subnet: "10.244.7.0/24" }]] }),
      }),
      host.bridgeConfig({ ...newest, ipam: host.ipamConfig({ ranges: [[{ subnet: "fd00::/64" }]] }) }),
    ]) {
      expect(await status(host, open)).toBe("ok");
      expect((await host.call("ADD", open, { pod })).error).toBeUndefined();
      await host.delete(open, { pod });
      await host.netns.ip("address", "flush", "dev", "cni0");
      await host.netns.ip("address", "add", "10.244.7.1/24", "dev", "cni0");
    }
    // Of the set's ranges one has a gateway that can be had.
    const ranges = [[{ subnet: "10.244.8.0/24" }, { subnet: "10.244.7.0/24" }]];
    expect(await status(host, host.bridgeConfig({ ...newest, ipam: host.ipamConfig({ ranges }) }))).toBe("ok");
    await host.netns.ip("address", "delete", "10.244.7.1/24", "dev", "cni0");
    expect(await status(host, config)).toBe("ok");
    await host.add(config, { pod });
  });

  test("is 50 when the gateway's device in a VLAN has another address", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.bridgeConfig({ ...newest, vlan: 100 });
    await host.netns.ip("link", "add", "cni0.100", "type", "veth", "peer", "name", "other");
    expect(await status(host, config)).toBe("ok");
    await host.netns.ip("address", "add", "10.244.7.1/24", "dev", "cni0.100");
    expect(await status(host, config)).toBe(
      '50 failed to set vlan interface for bridge with addr: "cni0.100" already has an IP address different from 10.244.1.1/24',
    );
    expect(await status(host, host.bridgeConfig({ ...newest, vlan: 101 }))).toBe("ok");
  });

  test("host-local alone is 50 when every address of a set is taken; bridge and flannel stay silent", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    await writeFile(
      host.subnetFile,
      "FLANNEL_NETWORK=10.9.0.0/16\nFLANNEL_SUBNET=10.9.0.1/30\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n",
    );
    const ipam = host.ipamConfig(small);
    const config = host.hostLocalConfig({ ...newest, ipam });
    const [first, second, third] = [await host.addPod(), await host.addPod(), await host.addPod()];
    await host.add(config, { pod: first });
    expect(await status(host, config)).toBe("ok");
    await host.add(config, { pod: second });
    const full = "no IP addresses available in range set: 10.9.0.1-10.9.0.3";
    expect(await status(host, config)).toBe(`50 ${full}`);
    const added = await host.call("ADD", config, { pod: third });
    expect(added.error?.msg).toBe(`failed to allocate for range 0: ${full}`);
    expect(await status(host, host.bridgeConfig({ ...newest, ipam }))).toBe("ok");
    expect(await status(host, host.bridgeConfig({ ...newest, ipam, inProcess: false }))).toBe("ok");
    expect(await status(host, host.flannelConfig(newest))).toBe("ok");
    expect(await status(host, host.flannelConfig({ ...newest, inProcess: false }))).toBe("ok");
    await host.delete(config, { pod: first });
    expect(await status(host, config)).toBe("ok");
  });

  test("host-local does not count addresses that name nobody", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const config = host.hostLocalConfig({ ...newest, ipam: host.ipamConfig(small) });
    await host.add(config, { pod: await host.addPod() });
    await host.directory.write("networks/cbr0/10.9.0.3", "");
    expect(await status(host, config)).toBe("ok");
    await host.directory.write("networks/cbr0/10.9.0.3", "another\r\neth0");
    expect(await status(host, config)).toStartWith("50 ");
  });

  test("passes on what an executed delegate answers, unchanged", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const answer = '{"code":51,"msg":"half of it is gone","details":"the other half"}';
    await writeFile(plugins.program("other"), `#!/bin/sh\necho '${answer}'\nexit 1\n`);
    await chmod(plugins.program("other"), 0o755);
    for (const config of [
      host.flannelConfig({ ...newest, delegate: { type: "other" } }),
      host.bridgeConfig({ ...newest, ipam: { type: "other" } }),
    ]) {
      const { error } = await callNetwork(host, "STATUS", config);
      expect(error).toEqual({ code: 51, msg: "half of it is gone", details: "the other half" });
    }
  });
});

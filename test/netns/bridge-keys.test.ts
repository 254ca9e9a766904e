import { expect, test } from "bun:test";

import { Decoder, type JsonObject } from "../../src/base/decode.ts";
import { type CniHost, createCniHost, type TestPod } from "../helpers/cni-host.ts";
import { outcome } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { findLink, type LinkState, listAddresses, listLinks } from "../helpers/kernel.ts";
import { describeWith } from "../helpers/require.ts";

const l2 = { ipam: {}, isGateway: false, isDefaultGateway: false };

async function hostVeth(host: CniHost): Promise<LinkState | undefined> {
  const links = await listLinks(host.netns);
  return links.find(({ kind }) => kind === "veth");
}

async function containerMac(host: CniHost, pod: TestPod, members: JsonObject, args?: string): Promise<string> {
  const start = args === undefined ? { pod } : { pod, args };
  const { result } = await host.add(host.bridgeConfig(members), start);
  const told = new Decoder(result).field("interfaces").list()[2]?.field("mac").string();
  const mac = (await findLink(pod.netns, "eth0"))?.mac;
  expect(mac).toBe(told);
  await host.delete(host.bridgeConfig(members), start);
  return mac ?? "";
}

await describeWith(["root", "executable", "link:veth", "link:bridge"], "bridge keys", () => {
  test("promiscMode makes the bridge promiscuous, also one that is there, and excludes hairpinMode", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const [first, second] = [await host.addPod(), await host.addPod()];
    await host.add(host.bridgeConfig(), { pod: first });
    const config = host.bridgeConfig({ cniVersion: "1.0.0", hairpinMode: false, promiscMode: true });
    const { result } = await host.add(config, { pod: second });
    const { stdout } = await host.netns.ip("link", "show", "dev", "cni0");
    expect(stdout).toContain(",PROMISC,");
    const prevResult = result ?? {};
    expect(outcome(await host.call("CHECK", { ...config, prevResult }, { pod: second }))).toBe("ok");
    const both = host.bridgeConfig({ hairpinMode: true, promiscMode: true });
    expect(outcome(await host.call("ADD", both, { pod: await host.addPod() }))).toBe(
      "7 cannot set hairpin mode and promiscuous mode at the same time",
    );
  });

  test("hairpinMode and portIsolation are the port's", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    for (const hairpinMode of [false, true]) {
      for (const portIsolation of [false, true]) {
        const config = host.bridgeConfig({ hairpinMode, portIsolation });
        await host.add(config, { pod });
        const port = (await hostVeth(host))?.port;
        expect([port?.field("hairpin").boolean(), port?.field("isolated").boolean()]).toEqual([
          hairpinMode,
          portIsolation,
        ]);
        await host.delete(config, { pod });
      }
    }
  });

  test("isolated pods reach their gateway, and not one another", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const [first, second] = [await host.addPod(), await host.addPod()];
    const config = host.bridgeConfig({ portIsolation: true });
    await host.add(config, { pod: first });
    await host.add(config, { pod: second });
    await second.netns.run(["ping", "-c", "1", "-w", "5", "10.244.1.1"]);
    const ping = await second.netns.run(["ping", "-c", "1", "-W", "1", "10.244.1.2"], { exitCode: "any" });
    expect(ping.exitCode).toBe(1);
  });

  test("the MAC address comes from CNI_ARGS, before it from args, before that from the runtime", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const args = { cni: { mac: "02:00:00:00:00:0b" } };
    const runtimeConfig = { mac: "02:00:00:00:00:0c" };
    const variable = "IgnoreUnknown=1;MAC=02:00:00:00:00:0A";
    expect(await containerMac(host, pod, {})).toBe("0a:58:0a:f4:01:02");
    expect(await containerMac(host, pod, {}, variable)).toBe("02:00:00:00:00:0a");
    expect(await containerMac(host, pod, { args }, variable)).toBe("02:00:00:00:00:0b");
    expect(await containerMac(host, pod, { args, runtimeConfig }, variable)).toBe("02:00:00:00:00:0c");
    expect(await containerMac(host, pod, { ...l2, runtimeConfig })).toBe("02:00:00:00:00:0c");
    const before = await host.leftovers();
    for (const [start, wanted] of [
      [{ pod, args: "IgnoreUnknown=1;MAC=5" }, "7 address 5: invalid MAC address"],
      [{ pod, args: "MAC=02:00:00:00:00:0a;X=1" }, '4 ARGS: unknown args ["X=1"]'],
      [{ pod, args: "MAC=a=b" }, '4 ARGS: invalid pair "MAC=a=b"'],
    ] as const) {
      expect(outcome(await host.call("ADD", host.bridgeConfig(), start))).toBe(wanted);
    }
    expect(await host.leftovers()).toEqual(before);
  });

  test("disableContainerInterface leaves the container's end down, and needs a bridge without addresses", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const config = host.bridgeConfig({ ...l2, cniVersion: "1.0.0", disableContainerInterface: true });
    const { result } = await host.add(config, { pod });
    expect((await findLink(pod.netns, "eth0"))?.up).toBe(false);
    expect((await hostVeth(host))?.up).toBe(true);
    expect(outcome(await host.call("CHECK", { ...config, prevResult: result ?? {} }, { pod }))).toBe("ok");
    await host.delete(config, { pod });
    expect(await hostVeth(host)).toBeUndefined();
    const addressed = host.bridgeConfig({ disableContainerInterface: true });
    expect(outcome(await host.call("ADD", addressed, { pod }))).toBe(
      "7 cannot use IPAM when DisableContainerInterface flag is set",
    );
  });

  test("a bridge without addresses joins the pods, and adds none", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const [first, second] = [await host.addPod(), await host.addPod()];
    for (const pod of [first, second]) await host.add(host.bridgeConfig(l2), { pod });
    expect([...(await listAddresses(host.netns)), ...(await listAddresses(first.netns))]).toEqual([]);
    await first.netns.ip("address", "add", "10.1.0.1/24", "dev", "eth0");
    await second.netns.ip("address", "add", "10.1.0.2/24", "dev", "eth0");
    await first.netns.run(["ping", "-c", "1", "-W", "2", "10.1.0.2"]);
  });

  test("enabledad has the kernel look for duplicates, and ADD waits until the address is no longer tentative", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const [first, second] = [await host.addPod(), await host.addPod()];
    const ipam = host.ipamConfig({ ranges: [[{ subnet: "fd00:10:244:1::/64" }]], routes: [] });
    const config = host.bridgeConfig({ hairpinMode: false, enabledad: true, ipam });
    await host.add(config, { pod: first });
    const { stdout } = await first.netns.ip("-6", "address", "show", "dev", "eth0");
    expect(stdout).toContain("fd00:10:244:1::2/64");
    expect(stdout).not.toMatch(/tentative|nodad/);
    await second.netns.run(["true"]);
    // Another host on the bridge has the next address already.
    await host.netns.ip("address", "add", "fd00:10:244:1::3/64", "dev", "cni0", "nodad");
    const told = outcome(await host.call("ADD", config, { pod: second }));
    expect(told).toBe(
      '999 failed to settle addresses for "eth0": link eth0 has address fd00:10:244:1::3/64 in DADFAILED state',
    );
    expect((await host.leftovers()).filter((line) => /networks\/cbr0\/fd00.*::3/.test(line))).toEqual([]);
    expect(await findLink(second.netns, "eth0")).toBeUndefined();
  });

  test("without enabledad an IPv6 address is usable at once", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const ipam = host.ipamConfig({ ranges: [[{ subnet: "fd00:10:244:1::/64" }]], routes: [] });
    await host.add(host.bridgeConfig({ ipam }), { pod });
    const { stdout } = await pod.netns.ip("-6", "address", "show", "dev", "eth0", "scope", "global");
    expect(stdout).toContain("nodad");
    expect(stdout).not.toContain("tentative");
  });

  test("overlapping IPv6 gateway addresses conflict, others are added; forceAddress replaces", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await host.netns.ip("link", "add", "cni0", "type", "bridge");
    await host.netns.ip("address", "add", "fd00:9::1/64", "dev", "cni0", "nodad");
    await host.netns.ip("address", "add", "fd00:10:244:1::9/48", "dev", "cni0", "nodad");
    const ipam = host.ipamConfig({ ranges: [[{ subnet: "fd00:10:244:1::/64" }]], routes: [] });
    expect(outcome(await host.call("ADD", host.bridgeConfig({ ipam }), { pod }))).toBe(
      '999 failed to set bridge addr: "cni0" already has an IP address different from fd00:10:244:1::1/64',
    );
    await host.add(host.bridgeConfig({ ipam, forceAddress: true }), { pod });
    const addresses = (await listAddresses(host.netns)).map(({ address }) => address);
    expect(addresses.toSorted()).toEqual(["fd00:10:244:1::1/64", "fd00:9::1/64"]);
  });

  test("a bridge that somebody else made keeps its MAC address while pods come and go", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    await host.netns.ip("link", "add", "cni0", "type", "bridge");
    const mac = (await findLink(host.netns, "cni0"))?.mac;
    const [first, second] = [await host.addPod(), await host.addPod()];
    for (const pod of [first, second]) await host.add(host.bridgeConfig(), { pod });
    expect((await findLink(host.netns, "cni0"))?.mac).toBe(mac ?? "");
    await host.delete(host.bridgeConfig(), { pod: first });
    expect((await findLink(host.netns, "cni0"))?.mac).toBe(mac ?? "");
  });

  test("dns of the configuration replaces what host-local read", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const resolvConf = await host.directory.write("resolv.conf", "nameserver 10.0.0.1\nsearch a b\n");
    const ipam = host.ipamConfig({ resolvConf });
    const pod = await host.addPod();
    const read = await host.add(host.bridgeConfig({ ipam }), { pod });
    expect(read.result?.["dns"]).toEqual({ nameservers: ["10.0.0.1"], search: ["a", "b"] });
    await host.delete(host.bridgeConfig({ ipam }), { pod });
    const given = await host.add(host.bridgeConfig({ ipam, dns: { nameservers: ["10.0.0.2"] } }), { pod });
    expect(given.result?.["dns"]).toEqual({ nameservers: ["10.0.0.2"] });
  });
});

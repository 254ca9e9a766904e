import { expect, test } from "bun:test";
import { Decoder, type JsonObject } from "../../src/base/decode.ts";
import { type CniHost, createCniHost, type TestPod } from "../helpers/cni-host.ts";
import { resultAddresses } from "../helpers/cni.ts";
import { collect } from "../helpers/cni-network.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { findLink, listAddresses, listLinks, listRoutes } from "../helpers/kernel.ts";
import { describeWith } from "../helpers/require.ts";

/** Interfaces of a result as `name sandbox?`, to compare at a glance. */
function interfaceNames(result: JsonObject | undefined): string[] {
  const interfaces = new Decoder(result).field("interfaces").list();
  return interfaces.map((item) => {
    const where = item.field("sandbox").string() === undefined ? "host" : "pod";
    return `${item.field("name").string()} ${where}`;
  });
}

/** The message and code of a call that must fail. */
async function failure(host: CniHost, config: JsonObject, pod: TestPod): Promise<string> {
  const reply = await host.call("ADD", config, { pod });
  expect(reply.exitCode).not.toBe(0);
  return `${reply.error?.code} ${reply.error?.msg}`;
}

/** Whether the host takes its default route from the router advertisements that come by a device: "0" for no. */
async function acceptsAdvertisements(host: CniHost, device: string): Promise<string> {
  return (await host.netns.run(["cat", `/proc/sys/net/ipv6/conf/${device}/accept_ra`])).stdout.trim();
}

await describeWith(["root", "executable", "link:veth", "link:bridge"], "bridge", () => {
  test("ADD joins the pod to the bridge as flannel's delegate asks for it", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const { result } = await host.add(host.bridgeConfig(), { pod });
    const bridge = await findLink(host.netns, "cni0");
    expect(bridge).toMatchObject({ kind: "bridge", mtu: 1450, up: true, mac: "0a:58:0a:f4:01:01" });
    const [veth] = (await listLinks(host.netns)).filter((link) => link.kind === "veth");
    expect(veth).toMatchObject({ mtu: 1450, up: true, master: "cni0" });
    expect(veth?.name).toMatch(/^veth[\da-f]{11}$/);
    expect(veth?.port.field("hairpin").boolean()).toBe(true);
    expect(interfaceNames(result)).toEqual(["cni0 host", `${veth?.name} host`, "eth0 pod"]);
    expect(await findLink(pod.netns, "eth0")).toMatchObject({ mtu: 1450, up: true, mac: "0a:58:0a:f4:01:02" });
    expect(await listAddresses(pod.netns)).toEqual([{ device: "eth0", address: "10.244.1.2/24", scope: "global" }]);
    const routes = (await listRoutes(pod.netns)).map((route) => `${route.destination} ${route.gateway ?? "direct"}`);
    expect(routes.toSorted()).toEqual(["10.244.0.0/16 10.244.1.1", "10.244.1.0/24 direct", "default 10.244.1.1"]);
    expect(await listAddresses(host.netns)).toEqual([{ device: "cni0", address: "10.244.1.1/24", scope: "global" }]);
    const forwarding = await host.netns.run(["cat", "/proc/sys/net/ipv4/ip_forward"]);
    expect(forwarding.stdout.trim()).toBe("1");
  });

  test("ADD keeps pods from telling the host its IPv6 default route, also by a bridge that somebody else made", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    await host.netns.ip("link", "add", "cni0", "type", "bridge");
    await host.netns.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/cni0/accept_ra"]);
    await host.add(host.bridgeConfig(), { pod: await host.addPod() });
    const veth = (await listLinks(host.netns)).find(({ kind }) => kind === "veth");
    expect(await acceptsAdvertisements(host, "cni0")).toBe("0");
    expect(await acceptsAdvertisements(host, veth?.name ?? "")).toBe("0");
  });

  test("ADD leaves a pod that reaches its gateway and the pod beside it at once", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const first = await host.addPod();
    const second = await host.addPod();
    await host.add(host.bridgeConfig(), { pod: first });
    await host.add(host.bridgeConfig(), { pod: second });
    await second.netns.run(["ping", "-c", "1", "-w", "5", "10.244.1.2"]);
    await second.netns.run(["ping", "-c", "1", "-w", "5", "10.244.1.1"]);
  });

  test("ADD announces the pod's address to pods that remember another MAC address for it", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const first = await host.addPod();
    const second = await host.addPod();
    await host.add(host.bridgeConfig(), { pod: first });
    await first.netns.ip("neighbor", "add", "10.244.1.3", "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale");
    await host.add(host.bridgeConfig(), { pod: second });
    const setting = await second.netns.run(["cat", "/proc/sys/net/ipv4/conf/eth0/arp_notify"]);
    expect(setting.stdout.trim()).toBe("1");
    const { stdout } = await first.netns.run(["ip", "neighbor", "show", "10.244.1.3"]);
    expect(stdout).toContain("lladdr 0a:58:0a:f4:01:03");
  });

  test("ADD gives the pod an address of each of several ranges, both families", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const ranges = [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:10:244:1::/64" }]];
    const config = host.bridgeConfig({ ipam: host.ipamConfig({ ranges, routes: [{ dst: "fd00:10:244::/56" }] }) });
    const reply = await host.add(config, { pod });
    expect(resultAddresses(reply)).toEqual(["10.244.1.2/24", "fd00:10:244:1::2/64"]);
    await pod.netns.run(["ping", "-c", "1", "-w", "5", "fd00:10:244:1::1"]);
    const defaults = (await listRoutes(pod.netns)).filter((route) => route.destination === "default");
    expect(defaults.map((route) => route.gateway)).toEqual(["10.244.1.1", "fd00:10:244:1::1"]);
    await host.delete(config, { pod });
    expect((await host.leftovers()).filter((line) => /veth|244.1.2|::2/.test(line))).toEqual([
      'file networks/cbr0/last_reserved_ip.0 "10.244.1.2"',
      'file networks/cbr0/last_reserved_ip.1 "fd00:10:244:1::2"',
    ]);
  });

  test("ADD that fails in the pod leaves no veth and no address", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await pod.netns.ip("link", "add", "eth0", "type", "bridge");
    expect(await failure(host, host.bridgeConfig(), pod)).toBe(
      `999 container veth name ("eth0") peer provided ("${(await vethName(host, pod)) ?? ""}") already exists`,
    );
    expect((await host.leftovers()).filter((line) => line.includes("veth") || line.includes("/10."))).toEqual([]);
    const unreachable = { ...host.ipamConfig(), routes: [{ dst: "10.9.0.0/16", gw: "10.8.0.1" }] };
    await pod.netns.ip("link", "delete", "eth0");
    expect(await failure(host, host.bridgeConfig({ ipam: unreachable }), pod)).toStartWith(
      "999 failed to add route: Cannot add route 10.9.0.0/16 via 10.8.0.1 dev eth0: network is unreachable (ENETUNREACH)",
    );
    expect((await host.leftovers()).filter((line) => line.includes("veth") || line.includes("/10."))).toEqual([]);
    expect(await findLink(pod.netns, "eth0")).toBeUndefined();
    await host.add(host.bridgeConfig(), { pod });
  });

  test("ADD refuses a bridge that has another address, and replaces it with forceAddress", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await host.netns.ip("link", "add", "cni0", "type", "bridge");
    await host.netns.ip("address", "add", "10.99.0.1/24", "dev", "cni0");
    expect(await failure(host, host.bridgeConfig(), pod)).toBe(
      '999 failed to set bridge addr: "cni0" already has an IP address different from 10.244.1.1/24',
    );
    await host.add(host.bridgeConfig({ forceAddress: true }), { pod });
    expect(await listAddresses(host.netns)).toEqual([{ device: "cni0", address: "10.244.1.1/24", scope: "global" }]);
  });

  test("ADD refuses a device that has the bridge's name and is none", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await host.netns.ip("link", "add", "cni0", "type", "veth", "peer", "name", "other");
    expect(await failure(host, host.bridgeConfig(), pod)).toBe(
      '999 failed to create bridge "cni0": "cni0" already exists but is not a bridge',
    );
    const name = "a-name-that-is-too-long";
    expect(await failure(host, host.bridgeConfig({ bridge: name }), pod)).toStartWith(
      `999 failed to create bridge "${name}": Cannot find link ${name}: numerical result out of range (ERANGE)`,
    );
  });

  test("DEL succeeds for a pod that was never added, whose namespace is gone, or whose path is a plain file", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await host.delete(host.bridgeConfig(), { pod });
    await host.add(host.bridgeConfig(), { pod });
    await host.delete(host.bridgeConfig(), { pod, netns: host.subnetFile });
    expect((await host.leftovers()).filter((line) => line.includes("veth"))).toEqual([]);
    await host.delete(host.bridgeConfig(), { pod, netns: "" });
    await host.delete(host.bridgeConfig(), { pod, netns: "/run/netns/gone" });
  });

  test("DEL and GC remove the link also when nobody can tell who gave out the addresses, and say so", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const broken = host.bridgeConfig({ cniVersion: "1.1.0", ipam: "host-local" });
    for (const call of [() => host.call("DEL", broken, { pod }), () => collect(host, broken, [])]) {
      await host.add(host.bridgeConfig(), { pod });
      expect((await call()).error?.msg).toStartWith('Cannot read "ipam": it must be an object');
      expect((await host.leftovers()).filter((line) => line.startsWith("link veth"))).toEqual([]);
      await host.delete(host.bridgeConfig(), { pod });
    }
  });

  test("DEL and GC work when `inProcess` is no boolean any more", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const changed = host.bridgeConfig({ cniVersion: "1.1.0", inProcess: "x" });
    for (const call of [() => host.call("DEL", changed, { pod }), () => collect(host, changed, [])]) {
      await host.add(host.bridgeConfig(), { pod });
      expect((await call()).stdout).toBe("");
      expect((await host.leftovers()).filter((line) => /^link veth|networks\/cbr0\/10\./.test(line))).toEqual([]);
    }
  });

  test("DEL of a pod whose path is the host's namespace by now frees link and address, touches nothing of the host, and says so", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    await host.add(host.bridgeConfig(), { pod });
    await host.netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", "other");
    const { error } = await host.call("DEL", host.bridgeConfig(), { pod, netns: host.netns.path });
    expect(error).toMatchObject({ code: 8, msg: "plugin's netns and netns from CNI_NETNS should not be the same" });
    const left = await host.leftovers();
    expect(left.filter((line) => /^link veth|networks\/cbr0\/10\./.test(line))).toEqual([]);
    expect(left.filter((line) => line.startsWith("link eth0 "))).toHaveLength(1);
  });

  test("a plugin that gives out no addresses is refused as IPAM plugin, which would call bridge again; DEL succeeds", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    const pod = await host.addPod();
    const before = await host.leftovers();
    for (const type of ["bridge", "flannel"]) {
      for (const inProcess of [true, false]) {
        const config = host.bridgeConfig({ ipam: { type }, inProcess });
        const { error } = await host.call("ADD", config, { pod });
        expect(error).toMatchObject({ code: 7, msg: `plugin "${type}" is no IPAM plugin: it gives out no addresses` });
        await host.delete(config, { pod });
      }
    }
    expect(await host.leftovers()).toEqual(before);
  });

  test("the bridge keeps its MAC address while pods come and go", async () => {
    await using plugins = await createExecutableDirectory();
    await using host = await createCniHost(plugins.path);
    for (let count = 0; count < 3; count++) {
      const pod = await host.addPod();
      await host.add(host.bridgeConfig(), { pod });
      await host.delete(host.bridgeConfig(), { pod });
    }
    expect((await findLink(host.netns, "cni0"))?.mac).toBe("0a:58:0a:f4:01:01");
  });
});

/** The name the host's end would have: the pair is made and removed once to see it. */
async function vethName(host: CniHost, pod: TestPod): Promise<string | undefined> {
  await pod.netns.ip("link", "set", "eth0", "name", "other0");
  const { result } = await host.add(host.bridgeConfig(), { pod });
  await host.delete(host.bridgeConfig(), { pod });
  await pod.netns.ip("link", "set", "other0", "name", "eth0");
  return new Decoder(result).field("interfaces").list()[1]?.field("name").string();
}

import { expect, test } from "bun:test";
import type { ClusterNode } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { createPair } from "../helpers/node-pair.ts";
import { describeWith } from "../helpers/require.ts";

const repairTimeMs = 1000;

/** One way to damage a node's data plane, and how its log calls the repair. */
interface Damage {
  readonly name: string;
  readonly log: RegExp;
  readonly damage: (
    node: ClusterNode,
    peer: { readonly subnet: string; readonly base: string; readonly mac: string },
  ) => Promise<unknown>;
}

const damages: readonly Damage[] = [
  {
    name: "a route deleted",
    log: /^warn {2}route \S+ missing: repaired$/m,
    damage: ({ netns }, { subnet }) => netns.ip("route", "delete", subnet),
  },
  {
    name: "a route changed to another gateway",
    log: /^warn {2}route \S+ wrong \(via 10\.244\.255\.0.*\): repaired$/m,
    damage: ({ netns }, { subnet }) =>
      netns.ip("route", "change", subnet, "via", "10.244.255.0", "dev", "flannel.1", "onlink", "proto", "102"),
  },
  {
    name: "a route replaced by one through another device",
    log: /^warn {2}route \S+ missing: repaired$/m,
    damage: ({ netns }, { subnet }) => netns.ip("route", "replace", subnet, "via", "192.168.1.254", "dev", "eth0"),
  },
  {
    name: "a route replaced by a blackhole",
    log: /^warn {2}route \S+ missing: repaired$/m,
    damage: ({ netns }, { subnet }) => netns.ip("route", "replace", "blackhole", subnet),
  },
  {
    name: "a route given an MTU",
    log: /^warn {2}route \S+ wrong \(.*mtu 1300\): repaired$/m,
    damage: ({ netns }, { subnet, base }) =>
      netns.ip("route", "change", subnet, "via", base, "dev", "flannel.1", "onlink", "proto", "102", "mtu", "1300"),
  },
  {
    name: "a neighbour entry deleted",
    log: /^warn {2}neighbour \S+ with MAC \S+ missing: repaired$/m,
    damage: ({ netns }, { base }) => netns.ip("neigh", "delete", base, "dev", "flannel.1"),
  },
  {
    name: "a neighbour entry changed",
    log: /^warn {2}neighbour \S+ with MAC \S+ wrong \(02:00:00:00:00:99\): repaired$/m,
    damage: ({ netns }, { base }) =>
      netns.ip("neigh", "replace", base, "lladdr", "02:00:00:00:00:99", "dev", "flannel.1", "nud", "permanent"),
  },
  {
    name: "a neighbour entry made one that ages",
    log: /^warn {2}neighbour \S+ with MAC \S+ wrong \(\S+, not permanent\): repaired$/m,
    damage: ({ netns }, { base, mac }) =>
      netns.ip("neigh", "replace", base, "lladdr", mac, "dev", "flannel.1", "nud", "reachable"),
  },
  {
    name: "a forwarding entry deleted",
    log: /^warn {2}forwarding entry \S+ to \S+ missing: repaired$/m,
    damage: ({ netns }, { mac }) => netns.run(["bridge", "fdb", "delete", mac, "dev", "flannel.1"]),
  },
  {
    name: "a forwarding entry changed to another address",
    log: /^warn {2}forwarding entry \S+ to \S+ wrong \(to 192\.168\.1\.99\): repaired$/m,
    damage: ({ netns }, { mac }) =>
      netns.run(["bridge", "fdb", "replace", mac, "dev", "flannel.1", "dst", "192.168.1.99", "self", "permanent"]),
  },
  {
    name: "a forwarding entry changed to another port",
    log: /^warn {2}forwarding entry \S+ to \S+ wrong \(.*port 4789\): repaired$/m,
    damage: async ({ netns }, { mac }) =>
      netns.run(["bridge", "fdb", "replace", mac, "dev", "flannel.1", "dst", "192.168.1.2", "port", "4789", "self"]),
  },
  {
    name: "an entry of a peer that is not there added",
    log: /^info {2}neighbour 10\.244\.200\.0 with MAC 02:00:00:00:00:77 that no lease asks for: removed$/m,
    damage: ({ netns }) =>
      netns.ip("neigh", "add", "10.244.200.0", "lladdr", "02:00:00:00:00:77", "dev", "flannel.1", "nud", "permanent"),
  },
  {
    name: "the address removed, and with it every route",
    log: /^warn {2}address \S+\/32 missing: repaired$/m,
    damage: ({ netns }) => netns.ip("address", "flush", "dev", "flannel.1", "scope", "global"),
  },
  {
    name: "a further address inside the network added",
    log: /^info {2}address 10\.244\.200\.0\/24 that is not \S+: removed$/m,
    damage: ({ netns }) => netns.ip("address", "add", "10.244.200.0/24", "dev", "flannel.1"),
  },
  {
    name: "the MTU changed",
    log: /^warn {2}device flannel\.1 MTU 1400 instead of 1450: repaired$/m,
    damage: ({ netns }) => netns.ip("link", "set", "flannel.1", "mtu", "1400"),
  },
  {
    name: "the MAC changed",
    log: /^warn {2}device flannel\.1 MAC 02:00:00:00:00:55 instead of \S+: repaired$/m,
    damage: ({ netns }) => netns.ip("link", "set", "flannel.1", "address", "02:00:00:00:00:55"),
  },
  {
    name: "the device set down",
    log: /^warn {2}device flannel\.1 down instead of up: repaired$/m,
    damage: ({ netns }) => netns.ip("link", "set", "flannel.1", "down"),
  },
  {
    name: "the device deleted",
    log: /^warn {2}device flannel\.1 missing: repaired$/m,
    damage: ({ netns }) => netns.ip("link", "delete", "flannel.1"),
  },
  {
    name: "the device replaced by one with another VNI",
    log: /^warn {2}device flannel\.1 with VNI 7 instead of 1.*: repaired$/m,
    damage: async ({ netns, publicIp, daemon }) => {
      const settings = ["id", "7", "dev", "eth0", "local", publicIp, "dstport", "8472", "nolearning"];
      const commands = ["link delete flannel.1", `link add flannel.1 type vxlan ${settings.join(" ")}`];
      // Held, so that the daemon does not come between the two.
      daemon.signal("SIGSTOP");
      await netns.run(["ip", "-batch", "-"], { stdin: `${commands.join("\n")}\n` });
      daemon.signal("SIGCONT");
    },
  },
];

await describeWith(["root", "executable", "link:vxlan", "link:veth"], "flanneld repairs within a second", () => {
  test(
    "every damage, with the same MAC and every peer",
    async () => {
      await using pair = await createPair();
      const { left, right } = pair;
      const peer = await right.lease();
      const intact = await left.overlay();
      for (const { name, log, damage } of damages) {
        await damage(left, peer);
        const start = performance.now();
        const repaired = await eventually(() => left.overlay(), intact, repairTimeMs);
        const took = performance.now() - start;
        expect({ name, overlay: repaired, log: left.log }).toMatchObject({ name, overlay: intact });
        expect(took, name).toBeLessThan(repairTimeMs);
        await left.logged(log);
        expect(await left.pings(peer.base), name).toBe(true);
      }
      expect(left.daemon.exitCode).toBeUndefined();
      // The repairs were of what was damaged and nothing else: no peer was taken for a new one.
      expect(left.log.match(/peer \S+ (?:added|removed|changed)/g)).toEqual([`peer ${peer.subnet} added`]);
    },
    { timeout: 60_000 },
  );

  test("what the parent interface takes with it when it goes down and up", async () => {
    await using pair = await createPair();
    const { left, right } = pair;
    const peer = await right.lease();
    const intact = await left.overlay();
    await left.netns.ip("link", "set", "eth0", "down");
    await left.netns.ip("route", "flush", "dev", "flannel.1");
    await left.netns.ip("link", "set", "eth0", "up");
    expect(await eventually(() => left.overlay(), intact, repairTimeMs)).toEqual(intact);
    await left.netns.ip("route", "add", "default", "via", "192.168.1.254");
    expect(await eventually(() => left.pings(peer.base), true)).toBe(true);
  });

  test("what is gone with the parent interface, when that comes back with another index", async () => {
    await using pair = await createPair();
    const { left, right } = pair;
    const peer = await right.lease();
    const intact = await left.overlay();
    await left.netns.ip("link", "delete", "eth0");
    expect(await left.overlay()).toEqual([]);
    await left.logged(/error Cannot choose the external interface: there is no default route/);
    expect(await left.readiness()).toEqual({
      status: 503,
      text: "flanneld is not ready yet\nCannot choose the external interface: there is no default route, and no --iface is given",
    });
    expect((await left.readiness("/healthz")).status).toBe(200);
    await left.plug();
    expect(await eventually(() => left.overlay(), intact, repairTimeMs)).toEqual(intact);
    expect((await left.readiness()).status).toBe(200);
    expect(await eventually(() => left.pings(peer.base), true)).toBe(true);
  });

  test("the MTU when the parent interface gets another one, and subnet.env with it", async () => {
    await using pair = await createPair();
    const { left } = pair;
    const intact = await left.overlay();
    const lowered = intact.map((line) => line.replace("mtu 1450", "mtu 1250"));
    await left.netns.ip("link", "set", "eth0", "mtu", "1300");
    expect(await eventually(() => left.overlay(), lowered, repairTimeMs)).toEqual(lowered);
    await left.logged(/subnet file .* FLANNEL_MTU=1250 /);
    await left.netns.ip("link", "set", "eth0", "mtu", "1500");
    expect(await eventually(() => left.overlay(), intact, repairTimeMs)).toEqual(intact);
    expect(await Bun.file(left.subnetFile).text()).toContain("FLANNEL_MTU=1450\n");
  });

  test("but leaves what is not its own", async () => {
    await using pair = await createPair();
    const { left } = pair;
    await left.netns.ip("address", "add", "172.31.0.1/32", "dev", "flannel.1");
    await left.netns.ip("route", "add", "172.30.0.0/16", "dev", "flannel.1", "proto", "static");
    await left.netns.ip("route", "add", "10.244.222.0/24", "dev", "flannel.1", "proto", "static");
    const before = await left.overlay();
    await left.netns.ip("link", "set", "flannel.1", "mtu", "1400");
    expect(await eventually(() => left.overlay(), before, repairTimeMs)).toEqual(before);
    expect(before.join("\n")).toContain("172.31.0.1/32");
    expect(before.join("\n")).toContain("route 10.244.222.0/24 via undefined proto static");
  });
});

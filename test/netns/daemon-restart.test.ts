import { expect, test } from "bun:test";
import { mkdir, rename } from "node:fs/promises";
import type { ClusterNode } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { createLoneNode, createPair, createReadyNode } from "../helpers/node-pair.ts";
import { describeWith } from "../helpers/require.ts";

/** Pings every 10 ms while the work goes on, and returns how many were lost. */
async function lostDuring(from: ClusterNode, address: string, work: () => Promise<void>): Promise<string> {
  await using ping = from.netns.start(["ping", "-i", "0.01", address]);
  await ping.waitUntil("pings come back", () => ping.stdout.includes("icmp_seq=20 "));
  await work();
  await ping.stop("SIGINT");
  // What was sent after the last answer may still have been on its way; before it there must be no gap.
  const numbers = new Set([...ping.stdout.matchAll(/icmp_seq=(\d+) /g)].map(([, number]) => Number(number)));
  const last = Math.max(...numbers);
  return last > 50 && numbers.size === last ? "nothing lost" : `${numbers.size} of ${last} came back`;
}

await describeWith(["root", "executable", "link:vxlan", "link:veth", "tool:ping"], "flanneld started again", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`after ${signal} keeps subnet, device and MAC, and loses no ping`, async () => {
      await using pair = await createPair();
      const { left, right } = pair;
      const [before, lease, index] = [await left.overlay(), await left.lease(), await deviceIndex(left)];
      const peer = await right.lease();
      const result = await lostDuring(left, peer.base, async () => {
        const exitCode = await left.daemon.stop(signal);
        expect(exitCode).toBe(signal === "SIGTERM" ? 0 : 137);
        expect(await left.overlay()).toEqual(before);
        await Bun.sleep(200);
        await left.startReady();
        await Bun.sleep(300);
      });
      expect(result).toBe("nothing lost");
      expect(await left.overlay()).toEqual(before);
      expect(await left.lease()).toEqual(lease);
      expect(await deviceIndex(left)).toBe(index);
      expect(left.log).not.toMatch(/set up|repaired|removed|subnet file/);
    });
  }

  test("by SIGINT ends with exit code 0 as well", async () => {
    await using lone = await createReadyNode();
    const { daemon } = lone.node;
    expect(await daemon.stop("SIGINT")).toBe(0);
    expect(daemon.stderr).toMatch(/^info {2}SIGINT: flanneld ends, the network stays as it is$/m);
  });

  for (const part of ["", "/subnets"]) {
    test(`without its lease directory${part} touches nothing: the pings go on, and it says what it waits for`, async () => {
      await using pair = await createPair();
      const { cluster } = pair;
      const moved = `${cluster.leases}${part}`;
      const { left, right } = pair;
      // Stale, but not to be removed before the leases are known.
      const stale = ["route", "add", "10.244.250.0/24", "via", "10.244.250.0", "dev", "flannel.1", "onlink"];
      const peer = await right.lease();
      const result = await lostDuring(left, peer.base, async () => {
        await left.daemon.stop("SIGKILL");
        await left.netns.ip(...stale, "proto", "102");
        const before = await left.overlay();
        await rename(moved, `${moved}.away`);
        left.start();
        await left.logged(/error Cannot set up the network yet: directory ".*" is not known: .*(?:config|subnets)/);
        await Bun.sleep(500);
        expect(await left.overlay()).toEqual(before);
        const { status, text } = await left.readiness();
        expect([status, text.split("\n")[0]]).toEqual([503, "flanneld is not ready yet"]);
        expect(text).toContain("Cannot set up the network yet");
        expect((await left.readiness("/healthz")).status).toBe(200);
        expect(left.log.match(/Cannot set up/g)).toHaveLength(1);
        await rename(`${moved}.away`, moved);
        await left.logged(/route 10\.244\.250\.0\/24 that no lease asks for: removed/);
        expect((await left.overlay()).join("\n")).not.toContain("10.244.250.0");
      });
      expect(result).toBe("nothing lost");
      expect((await left.readiness()).status).toBe(200);
    });
  }

  test("keeps the last state while the lease directory is away at run time", async () => {
    await using pair = await createPair();
    const { cluster } = pair;
    const { left } = pair;
    const before = await left.overlay();
    await rename(cluster.leases, `${cluster.leases}.away`);
    await left.logged(/warn {2}directory ".*" cannot be read, what was last read stays in force/);
    await left.netns.ip("link", "delete", "flannel.1");
    expect(await eventually(() => left.overlay(), before, 1000)).toEqual(before);
    await rename(`${cluster.leases}.away`, cluster.leases);
    await left.logged(/info {2}directory ".*" can be read again/);
    expect(await left.overlay()).toEqual(before);
  });

  test("removes what went while it was not running, only once the leases are known", async () => {
    await using pair = await createPair();
    const { cluster } = pair;
    const { left, right } = pair;
    const peer = await right.lease();
    await left.daemon.stop();
    await right.daemon.stop();
    await cluster.removeLease(peer.subnet.replace("/", "-"));
    expect((await left.overlay()).join("\n")).toContain(peer.mac);
    await left.startReady();
    const overlay = await left.overlay();
    expect(overlay).toHaveLength(2);
    expect(overlay.join("\n")).not.toContain(peer.mac);
    expect(left.log.match(/that no lease asks for: removed/g)).toHaveLength(3);
  });

  test("takes over what upstream's daemon left: its device, its MAC, and its routes of protocol boot", async () => {
    await using lone = await createLoneNode();
    const { cluster, node } = lone;
    const [mac, peerMac] = ["5a:dd:cc:32:b4:3b", "5a:dd:cc:32:b4:99"];
    await mkdir(`${cluster.directory.path}/node1`, { recursive: true });
    await Bun.write(node.subnetFile, "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.9.1/24\nFLANNEL_MTU=1450\n");
    const vxlan = ["id", "1", "dev", "eth0", "local", node.publicIp, "dstport", "8472", "nolearning"];
    await node.netns.ip("link", "add", "flannel.1", "address", mac, "mtu", "1450", "type", "vxlan", ...vxlan);
    await node.netns.ip("address", "add", "10.244.9.0/32", "dev", "flannel.1");
    await node.netns.ip("link", "set", "flannel.1", "up");
    for (const third of [8, 7]) {
      const base = `10.244.${third}.0`;
      await node.netns.ip(
        "neigh",
        "add",
        base,
        "lladdr",
        peerMac.replace("99", `0${third}`),
        "dev",
        "flannel.1",
        "nud",
        "permanent",
      );
      await node.netns.ip("route", "add", `${base}/24`, "via", base, "dev", "flannel.1", "onlink");
    }
    await cluster.writeLease("10.244.8.0-24", {
      PublicIP: "192.168.1.8",
      BackendType: "vxlan",
      BackendData: { VNI: 1, VtepMAC: "5a:dd:cc:32:b4:08" },
    });
    const index = await deviceIndex(node);
    await node.startReady();
    expect(await deviceIndex(node)).toBe(index);
    expect(await node.lease()).toMatchObject({ subnet: "10.244.9.0/24", mac });
    expect(await node.overlay()).toEqual([
      "address 10.244.9.0/32",
      "fdb 5a:dd:cc:32:b4:08 dst 192.168.1.8 permanent,self",
      `link ${mac} mtu 1450 up`,
      "neigh 10.244.8.0 lladdr 5a:dd:cc:32:b4:08",
      "route 10.244.8.0/24 via 10.244.8.0 proto 102 onlink",
    ]);
  });

  test("makes an incompatible device anew with the published MAC, and says what was wrong with it", async () => {
    await using pair = await createPair();
    const { left } = pair;
    const before = await left.overlay();
    await left.daemon.stop();
    await left.netns.ip("link", "delete", "flannel.1");
    const settings = ["id", "1", "dev", "eth0", "local", "192.168.1.77", "dstport", "4789", "learning"];
    await left.netns.ip("link", "add", "flannel.1", "type", "vxlan", ...settings);
    await left.startReady();
    expect(await left.overlay()).toEqual(before);
    expect(left.log).toMatch(
      /device flannel\.1 with UDP port 4789 instead of 8472, local address 192\.168\.1\.77 instead of 192\.168\.1\.1, learning on instead of off: set up/,
    );
  });

  test("leaves a device of that name alone that is not vxlan", async () => {
    await using lone = await createLoneNode();
    const { node } = lone;
    await node.netns.ip("link", "add", "flannel.1", "type", "bridge");
    node.start();
    await node.logged(
      /error Cannot use device "flannel\.1": it is of kind "bridge", wanted "vxlan"; it is left as it is/,
    );
    expect((await node.readiness()).status).toBe(503);
    // Gone, it is made without waiting for the next attempt.
    await node.netns.ip("link", "delete", "flannel.1");
    expect(await eventually(async () => (await node.readiness()).status, 200, 1000)).toBe(200);
  });
});

async function deviceIndex(node: ClusterNode): Promise<string | undefined> {
  const { stdout } = await node.netns.ip("-o", "link", "show", "dev", "flannel.1");
  return /^\d+/.exec(stdout)?.[0];
}

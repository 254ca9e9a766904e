import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import type { ClusterNode } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { createLoneNode, createPair, createReadyNode } from "../helpers/node-pair.ts";
import { describeWith } from "../helpers/require.ts";

/** A lease as another node publishes it. */
function leaseValue(publicIp: string, mac: string): unknown {
  return { PublicIP: publicIp, BackendType: "vxlan", BackendData: { VNI: 1, VtepMAC: mac } };
}

/** The lines of a node's state about the peer with this third byte: above 100, since a node draws its own from 1 to 100. */
async function peerLines(node: ClusterNode, third: number): Promise<readonly string[]> {
  const base = `10.244.${third}.0`;
  const mac = `02:00:00:00:00:${third.toString(16).padStart(2, "0")}`;
  return (await node.overlay()).filter((line) => line.includes(` ${base}`) || line.includes(mac));
}

await describeWith(
  ["root", "executable", "link:vxlan", "link:veth", "tool:ping"],
  "flanneld follows the leases",
  () => {
    test("of two nodes, and writes subnet.env as upstream does", async () => {
      await using pair = await createPair();
      const { left, right } = pair;
      const [own, peer] = [await left.lease(), await right.lease()];
      expect(await left.overlay()).toEqual(
        [
          `link ${own.mac} mtu 1450 up`,
          `address ${own.base}/32`,
          `neigh ${peer.base} lladdr ${peer.mac}`,
          `fdb ${peer.mac} dst 192.168.1.2 permanent,self`,
          `route ${peer.subnet} via ${peer.base} proto 102 onlink`,
        ].toSorted(),
      );
      expect(await left.pings(peer.base)).toBe(true);
      const gateway = own.subnet.replace(".0/24", ".1/24");
      expect(await Bun.file(left.subnetFile).text()).toBe(
        `FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=${gateway}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n`,
      );
      const { stdout } = await left.netns.run(["cat", "/proc/sys/net/ipv6/conf/flannel.1/accept_ra"]);
      expect(stdout).toBe("0\n");
      expect(left.log).toContain(`info  peer ${peer.subnet} added: public IP 192.168.1.2, VTEP MAC ${peer.mac}\n`);
      for (const line of left.log.trimEnd().split("\n")) expect(line).toMatch(/^(?:info |warn |error) \S/);
      expect(left.daemon.stdout).toBe("");
    });

    test("as a peer comes, changes MAC and address, and goes", async () => {
      await using lone = await createReadyNode();
      const { cluster } = lone;
      const { node } = lone;
      const alone = await node.overlay();
      await cluster.writeLease("10.244.140.0-24", leaseValue("192.168.1.40", "02:00:00:00:00:8c"));
      const first = [
        "fdb 02:00:00:00:00:8c dst 192.168.1.40 permanent,self",
        "neigh 10.244.140.0 lladdr 02:00:00:00:00:8c",
        "route 10.244.140.0/24 via 10.244.140.0 proto 102 onlink",
      ];
      expect(await eventually(() => peerLines(node, 140), first)).toEqual(first);
      await cluster.writeLease("10.244.140.0-24", leaseValue("192.168.1.41", "02:00:00:00:00:8d"));
      const second = [
        ...alone,
        ...first.map((line) => line.replace("00:8c", "00:8d").replace("1.40", "1.41")),
      ].toSorted();
      expect(await eventually(() => node.overlay(), second)).toEqual(second);
      await cluster.removeLease("10.244.140.0-24");
      expect(await eventually(() => node.overlay(), alone)).toEqual(alone);
      expect(node.log.match(/^.* peer .*$/gm)).toEqual([
        "info  peer 10.244.140.0/24 added: public IP 192.168.1.40, VTEP MAC 02:00:00:00:00:8c",
        "info  peer 10.244.140.0/24 changed: public IP 192.168.1.41, VTEP MAC 02:00:00:00:00:8d",
        "info  peer 10.244.140.0/24 removed",
      ]);
      expect(node.log).not.toMatch(/repaired|that no lease asks for/);
    });

    test("and skips one that it cannot use, once and by name, without harm to others", async () => {
      await using lone = await createReadyNode();
      const { cluster } = lone;
      const { node } = lone;
      const own = await node.lease();
      await cluster.writeLease("10.244.150.0-24", leaseValue("192.168.1.50", "nonsense"));
      await cluster.writeLease("10.244.151.0-24", "{");
      await cluster.writeLease("10.244.152.0-24", { PublicIP: "192.168.1.52", BackendType: "host-gw" });
      await cluster.writeLease("10.99.0.0-24", leaseValue("192.168.1.53", "02:00:00:00:00:35"));
      await cluster.writeLease("10.244.154.0-24", leaseValue("192.168.1.54", own.mac));
      await cluster.writeLease("10.244.160.0-24", leaseValue("192.168.1.60", "02:00:00:00:00:a0"));
      await node.logged(/peer 10\.244\.160\.0\/24 added/);
      expect(await eventually(async () => (await peerLines(node, 160)).length, 3)).toBe(3);
      expect(await node.overlay()).toHaveLength(5);
      expect((await node.readiness()).status).toBe(200);
      await cluster.writeLease("10.244.161.0-24", leaseValue("192.168.1.61", "02:00:00:00:00:a1"));
      await node.logged(/peer 10\.244\.161\.0\/24 added/);
      for (const words of [
        /^warn {2}lease 10\.244\.150\.0-24 skipped: .*"BackendData\.VtepMAC".*"nonsense"$/gm,
        /^warn {2}Cannot use lease file ".*\/10\.244\.151\.0-24", it is skipped: .*$/gm,
        /^warn {2}lease 10\.244\.152\.0-24 skipped: its backend is "host-gw", not "vxlan"$/gm,
        /^warn {2}lease 10\.99\.0\.0-24 skipped: its subnet is outside the network 10\.244\.0\.0\/16$/gm,
        /^warn {2}lease 10\.244\.154\.0-24 skipped: its VTEP MAC \S+ is this node's own$/gm,
      ]) {
        expect({ words, found: node.log.match(words)?.length }).toEqual({ words, found: 1 });
      }
    });

    test("and takes its own again when that was removed, with the same subnet", async () => {
      await using lone = await createReadyNode();
      const { cluster } = lone;
      const { node } = lone;
      const [own, before] = [await node.lease(), await node.overlay()];
      await cluster.removeLease(own.subnet.replace("/", "-"));
      await node.logged(/info {2}lease \S+ taken again/);
      expect(await node.lease()).toEqual(own);
      expect(await node.overlay()).toEqual(before);
      expect((await node.readiness()).status).toBe(200);
    });

    test("and ends with exit code 1 when another node holds its subnet", async () => {
      await using lone = await createReadyNode();
      const { cluster } = lone;
      const { node } = lone;
      const [own, before] = [await node.lease(), await node.overlay()];
      await cluster.writeLease(own.subnet.replace("/", "-"), leaseValue("192.168.1.99", "02:00:00:00:00:63"));
      expect(await node.daemon.ended).toBe(1);
      expect(node.log).toMatch(
        /^error Cannot keep the subnet \S+: it is now the lease of 192\.168\.1\.99; pods of this node/m,
      );
      expect(await node.overlay()).toEqual(before);
      expect((await cluster.listLeases()).map(({ publicIp }) => publicIp)).toEqual(["192.168.1.99"]);
    });

    test("and puts its own right when somebody changed what it says", async () => {
      await using lone = await createReadyNode();
      const { cluster } = lone;
      const { node } = lone;
      const own = await node.lease();
      await cluster.writeLease(own.subnet.replace("/", "-"), leaseValue(own.publicIp, "02:00:00:00:00:aa"));
      expect(await eventually(() => node.lease(), own)).toEqual(own);
      await node.logged(/warn {2}lease \S+ of this node was changed by somebody else: putting it right/);
      expect((await node.overlay()).join("\n")).toContain(own.mac);
    });

    test("and publishes its new address when the interface gets another one", async () => {
      await using pair = await createPair();
      const { left, right } = pair;
      const own = await left.lease();
      await left.netns.ip("address", "delete", "192.168.1.1/24", "dev", "eth0");
      await left.netns.ip("address", "add", "192.168.1.101/24", "dev", "eth0");
      await left.netns.ip("route", "replace", "default", "via", "192.168.1.254");
      await left.logged(/info {2}lease \S+ published: public IP 192\.168\.1\.101, /);
      await left.logged(/local address 192\.168\.1\.1 instead of 192\.168\.1\.101: repaired/);
      const { stdout } = await left.netns.ip("-d", "link", "show", "dev", "flannel.1");
      expect(stdout).toContain(" local 192.168.1.101 ");
      expect(stdout).toContain(own.mac);
      await right.logged(/peer \S+ changed: public IP 192\.168\.1\.101, /);
      expect(await eventually(() => right.pings(own.base), true)).toBe(true);
    });

    test("and is not ready while subnet.env cannot be written, but has every peer", async () => {
      await using lone = await createLoneNode();
      const { cluster, node } = lone;
      await cluster.directory.write("node1", "a file where a directory is to be");
      await cluster.writeLease("10.244.140.0-24", leaseValue("192.168.1.40", "02:00:00:00:00:8c"));
      node.start();
      await node.logged(/^error Cannot write the subnet file: .*node1/m);
      expect(await peerLines(node, 140)).toHaveLength(3);
      const { status, text } = await node.readiness();
      expect(status).toBe(503);
      expect(text).toContain("node1");
      await rm(cluster.directory.join("node1"));
      expect(await eventually(async () => (await node.readiness()).status, 200)).toBe(200);
      expect(node.log.match(/Cannot write the subnet file/g)).toHaveLength(1);
    });

    test("under a public IP that only NAT knows, with the interface's own address on the device", async () => {
      await using lone = await createLoneNode();
      const { cluster, node } = lone;
      await node.startReady(["--iface", "eth0", "--public-ip", "203.0.113.7"]);
      expect((await cluster.listLeases()).map(({ publicIp }) => publicIp)).toEqual(["203.0.113.7"]);
      const { stdout } = await node.netns.ip("-d", "link", "show", "dev", "flannel.1");
      expect(stdout).toContain(" local 192.168.1.1 ");
    });
  },
);

await describeWith(["root", "executable", "link:vxlan", "link:veth"], "flanneld follows the configuration", () => {
  test("of VNI, port, MTU, learning and GBP", async () => {
    const backend = { type: "VXLAN", vni: 7, Port: 4789, MTU: 1400, Learning: true, GBP: true, MacPrefix: "0E-2A" };
    await using lone = await createReadyNode({ Network: "10.244.0.0/16", EnableNFTables: true, Backend: backend });
    const { node } = lone;
    const { stdout } = await node.netns.ip("-d", "link", "show", "dev", "flannel.7");
    expect(stdout).toMatch(/ mtu 1350 [^]* id 7 .* dstport 4789 .*gbp/);
    expect(stdout).not.toContain("nolearning");
    expect(await Bun.file(node.subnetFile).text()).toContain("FLANNEL_MTU=1350\n");
  });

  test("that names no backend, which is vxlan", async () => {
    await using lone = await createReadyNode({ Network: "10.244.0.0/16" });
    expect(await lone.node.overlay()).toHaveLength(2);
  });

  test("as it changes: MTU and port at once, network and VNI not before a restart", async () => {
    await using lone = await createReadyNode();
    const { cluster } = lone;
    const { node } = lone;
    const before = await node.overlay();
    await cluster.configure({ Network: "10.244.0.0/16", Backend: { Type: "vxlan", MTU: 1400, Port: 4789 } });
    const after = before.map((line) => line.replace("mtu 1450", "mtu 1350"));
    expect(await eventually(() => node.overlay(), after)).toEqual(after);
    expect((await node.netns.ip("-d", "link", "show", "dev", "flannel.1")).stdout).toContain("dstport 4789");
    await node.logged(/info {2}the configuration has changed: Port 4789 instead of 8472, MTU 1400 instead of 0/);
    await node.logged(/subnet file .* FLANNEL_MTU=1350 /);
    await cluster.configure({ Network: "10.99.0.0/16", Backend: { Type: "vxlan", VNI: 5 } });
    await node.logged(
      /warn {2}the configuration now has network 10\.99\.0\.0\/16 instead of 10\.244\.0\.0\/16: restart/,
    );
    await node.logged(/warn {2}the configuration now has VNI 5 instead of 1: restart/);
    expect(await eventually(() => node.overlay(), before)).toEqual(before);
    await cluster.configure({ Network: "10.244.0.0/16", Backend: { Type: "wireguard" } });
    await node.logged(
      /error Cannot use the flannel config "\/.*\/config": Cannot use backend "wireguard": it is not supported yet, only "vxlan" is; the last good/,
    );
    expect(await node.overlay()).toEqual(before);
  });

  test("with no larger MTU than the interface has", async () => {
    await using lone = await createReadyNode({ Network: "10.244.0.0/16", Backend: { MTU: 9000 } });
    expect((await lone.node.overlay()).join("\n")).toContain(" mtu 1450 up");
    expect(lone.node.log).toMatch(/warn {2}MTU 9000 of the configuration is more than 1500 of eth0: not used/);
  });

  for (const { name, config, words } of [
    {
      name: "IPv6",
      config: { Network: "10.244.0.0/16", EnableIPv6: true, IPv6Network: "fd00::/56" },
      words: /error .*"EnableIPv6"/,
    },
    {
      name: "another backend",
      config: { Network: "10.244.0.0/16", Backend: { Type: "host-gw" } },
      words:
        /error Cannot use the flannel config "\/.*\/config": Cannot use backend "host-gw": it is not supported yet, only "vxlan" is/,
    },
    {
      name: "DirectRouting",
      config: { Network: "10.244.0.0/16", Backend: { Type: "vxlan", DirectRouting: true } },
      words:
        /error Cannot use the flannel config "\/.*\/config": Cannot read "Backend\.DirectRouting": true is not supported yet/,
    },
    {
      name: "a VNI that is none",
      config: { Network: "10.244.0.0/16", Backend: { Type: "vxlan", VNI: "1" } },
      words:
        /error Cannot use the flannel config "\/.*\/config": Cannot read "Backend\.VNI": it must be a whole number, and is the string "1"/,
    },
  ]) {
    test(`but refuses ${name} by name, changes nothing, and goes on when it is put right`, async () => {
      await using lone = await createLoneNode();
      const { cluster, node } = lone;
      await cluster.configure(config);
      node.start();
      await node.logged(words);
      const { status, text } = await node.readiness();
      expect(status).toBe(503);
      expect(text).toMatch(new RegExp(words.source.replace("error ", "")));
      expect(await node.overlay()).toEqual([]);
      await cluster.configure({ Network: "10.244.0.0/16" });
      expect(await eventually(async () => (await node.readiness()).status, 200)).toBe(200);
    });
  }
});

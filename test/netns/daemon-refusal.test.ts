import { expect, test } from "bun:test";
import { eventually } from "../helpers/eventually.ts";
import { createLoneNode, createPair } from "../helpers/node-pair.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(["root", "executable", "link:vxlan", "link:veth"], "flanneld tells what the kernel refuses", () => {
  test("once, tries again, and stops nothing else for it", async () => {
    await using pair = await createPair();
    const { cluster } = pair;
    const { left } = pair;
    // The peer's gateway cannot be an address of this node.
    await left.netns.ip("address", "add", "10.244.170.0/32", "dev", "lo");
    await cluster.writeLease("10.244.170.0-24", {
      PublicIP: "192.168.1.70",
      BackendType: "vxlan",
      BackendData: { VNI: 1, VtepMAC: "02:00:00:00:00:46" },
    });
    const refusal =
      /^error route 10\.244\.170\.0\/24 missing: Cannot set route 10\.244\.170\.0\/24 .*: Nexthop has invalid gateway$/gm;
    await left.logged(new RegExp(refusal.source, "m"));
    await cluster.writeLease("10.244.171.0-24", {
      PublicIP: "192.168.1.71",
      BackendType: "vxlan",
      BackendData: { VNI: 1, VtepMAC: "02:00:00:00:00:47" },
    });
    await left.logged(/peer 10\.244\.171\.0\/24 added/);
    const lines = ["fdb 02:00:00:00:00:46 dst 192.168.1.70 permanent,self", "route 10.244.171.0/24"];
    for (const line of lines) {
      expect(await eventually(async () => (await left.overlay()).join("\n").includes(line), true)).toBe(true);
    }
    const { status, text } = await left.readiness();
    expect(status).toBe(503);
    expect(text.split("\n")).toHaveLength(2);
    expect(text).toContain("route 10.244.170.0/24 missing: ");
    // Tried again after 1 s and 2 s, and not told again.
    await Bun.sleep(3500);
    expect(left.log.match(refusal)).toHaveLength(1);
    await left.netns.ip("address", "delete", "10.244.170.0/32", "dev", "lo");
    expect(await eventually(async () => (await left.readiness()).status, 200, 5000)).toBe(200);
    expect(left.log).toMatch(/^warn {2}route 10\.244\.170\.0\/24 missing: repaired$/m);
  });

  test("in the kernel's own words where another device has the VNI, and goes on when that is gone", async () => {
    await using lone = await createLoneNode();
    const { node } = lone;
    const settings = ["id", "1", "dev", "eth0", "dstport", "8472", "nolearning"];
    await node.netns.ip("link", "add", "other", "type", "vxlan", ...settings);
    await node.netns.ip("link", "set", "other", "up");
    node.start();
    await node.logged(/^error device flannel\.1 missing: Cannot add vxlan flannel\.1: file exists \(EEXIST\): .*VNI/m);
    expect(await Bun.file(node.subnetFile).exists()).toBe(false);
    expect((await node.readiness()).text).toContain("device flannel.1 missing");
    await node.netns.ip("link", "delete", "other");
    expect(await eventually(async () => (await node.readiness()).status, 200, 35_000)).toBe(200);
    expect(await Bun.file(node.subnetFile).exists()).toBe(true);
  });
});

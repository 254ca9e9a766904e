import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import {
  createCniNode,
  installConflist,
  installForeign,
  installOurPlugins,
  lastingAfter,
  listNodeLeftovers,
} from "../helpers/cni-node.ts";
import { cnitool, failingCnitool } from "../helpers/cnitool.ts";
import { subnetEnv } from "../helpers/cni-host.ts";
import { doubledConflist, ownConflist, stockConflist } from "../helpers/conflists.ts";
import { fetchGreeting, startGreeter } from "../helpers/greeter.ts";
import { listAddresses, listLinks } from "../helpers/kernel.ts";
import { createNetns } from "../helpers/netns.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { podElements, ruleset } from "../helpers/nftables.ts";
import type { TestNode } from "../helpers/node.ts";
import { peerProgram } from "../helpers/peers.ts";
import { describeWith } from "../helpers/require.ts";
import { upstreamPlugins } from "../helpers/upstream.ts";

const needs = ["root", "executable", "link:veth", "link:bridge", "peer:cnitool"] as const;

const hostPort = { capabilities: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] } };

const rows = [
  { list: "the stock conflist", conflist: stockConflist, spoken: "0.3.1" },
  { list: "our conflist", conflist: ownConflist, spoken: "1.1.0" },
] as const;

await describeWith(needs, "cnitool", () => {
  test.each(rows)("adds and deletes a pod with $list, state in the stock directories", async ({ conflist, spoken }) => {
    await using node = await createCniNode(conflist);
    await using pod = await createNetns();

    const { stdout } = await cnitool(node, "add", pod);
    const result = new Decoder(parseJson(stdout));
    expect(result.field("cniVersion").string()).toBe(spoken);
    const names = result
      .field("interfaces")
      .list()
      .map((item) => (item.field("name").string() ?? "").replace(/^veth[0-9a-f]+$/, "VETH"));
    expect(names).toEqual(["cni0", "VETH", "eth0"]);
    expect(await podAddresses(pod)).toEqual(["10.244.1.2/24"]);

    expect(await cnitool(node, "del", pod)).toMatchObject({ stdout: "", stderr: "" });
    expect(await podAddresses(pod)).toEqual([]);
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
    // As often as it is called.
    await cnitool(node, "del", pod);
  });

  test.each(rows)("deletes a pod whose namespace is gone, with $list", async ({ conflist }) => {
    await using node = await createCniNode(conflist);
    await using pod = await createNetns();
    await cnitool(node, "add", pod);
    await pod.remove();
    await cnitool(node, "del", pod);
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });

  test.each([
    { from: "the stock conflist", before: stockConflist, to: "our conflist", after: ownConflist },
    { from: "our conflist", before: ownConflist, to: "the stock conflist", after: stockConflist },
  ])("deletes with $to a pod that was added with $from", async ({ before, after }) => {
    await using node = await createCniNode(before);
    await using pod = await createNetns();
    await cnitool(node, "add", pod);
    await installConflist(node, after);
    await cnitool(node, "del", pod);
    expect(await podAddresses(pod)).toEqual([]);
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });

  test("gives a pod the address that CNI_ARGS asks for, and passes over what is the runtime's", async () => {
    await using node = await createCniNode(ownConflist);
    await using pod = await createNetns();
    await cnitool(node, "add", pod, { args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;IP=10.244.1.77" });
    expect(await podAddresses(pod)).toEqual(["10.244.1.77/24"]);
  });

  test.each([
    { name: "our conflist", conflist: ownConflist },
    { name: "the stock conflist", conflist: stockConflist },
    { name: "our conflist with portmap behind it", conflist: doubledConflist },
  ])(
    "maps ports once with $name, and deletes without a trace, also when the runtime forgot the mappings",
    async ({ conflist }) => {
      await using node = await createCniNode(conflist);
      await using pod = await createNetns();
      await cnitool(node, "add", pod, hostPort);
      await using greeter = await startGreeter(pod, 80);
      expect(await fetchGreeting(node.netns, "127.0.0.1", 8080)).toBe("hello");
      expect(await fetchGreeting(pod, "10.244.1.1", 8080)).toBe("hello");
      expect(await podElements(node.netns)).toHaveLength(4);
      await greeter.stop();
      await cnitool(node, "del", pod, {});
      expect(await podElements(node.netns)).toEqual([]);
      expect(await podAddresses(pod)).toEqual([]);
      const left = await listNodeLeftovers(node);
      expect(left.filter((line) => !line.startsWith("nft "))).toEqual([...lastingAfter("10.244.1.2")]);
    },
  );

  test.each([
    { from: "the stock conflist", before: stockConflist, to: "ours", after: ownConflist },
    { from: "our conflist", before: ownConflist, to: "the stock one", after: stockConflist },
  ])("deletes a pod with a host port that was added with $from, with $to", async ({ before, after }) => {
    await using node = await createCniNode(before);
    await using pod = await createNetns();
    await cnitool(node, "add", pod, hostPort);
    await installConflist(node, after);
    await cnitool(node, "del", pod, hostPort);
    expect(await podElements(node.netns)).toEqual([]);
    expect(await podAddresses(pod)).toEqual([]);
  });
});

await describeWith([...needs, "peer:cni-plugins", "peer:flannel-cni", "tool:iptables"], "cnitool after a move", () => {
  test.each(["iptables", "nftables"])(
    "deletes a pod that upstream's plugins added with a host port by %s",
    async (backend) => {
      const portmap = { type: "portmap", backend, capabilities: { portMappings: true } };
      const before = { ...stockConflist, plugins: [...stockConflist.plugins.slice(0, 1), portmap] };
      await using node = await createCniNode(before);
      await using pod = await createNetns();
      await installForeign(node, { ...upstreamPlugins, portmap: peerProgram("cni-plugins", "portmap") });
      // As upstream's daemon leaves it when it does not masquerade: its bridge plugin does.
      await node.write("run/flannel/subnet.env", subnetEnv);
      await cnitool(node, "add", pod, hostPort);
      await using greeter = await startGreeter(pod, 80);
      expect(await fetchGreeting(node.netns, "127.0.0.1", 8080)).toBe("hello");
      expect(await ruleset(node.netns)).toContain("10.244.1.2");
      await greeter.stop();
      await installOurPlugins(node);
      await installConflist(node, ownConflist);
      await cnitool(node, "del", pod, hostPort);
      expect(await ruleset(node.netns)).not.toContain("10.244.1.2");
      expect(await ruleset(node.netns)).not.toContain("8080");
      expect(await podAddresses(pod)).toEqual([]);
    },
  );
});

await describeWith(needs, "cnitool check", () => {
  const disturbances = [
    {
      what: "the pod's address",
      disturb: (pod: TestNetns) => pod.ip("addr", "flush", "dev", "eth0", "scope", "global"),
      error: "Failed to match addr 10.244.1.2/24 on interface eth0",
    },
    {
      what: "the pod's default route",
      disturb: (pod: TestNetns) => pod.ip("route", "delete", "default"),
      error: "Expected Route 0.0.0.0/0 via 10.244.1.1 not found in routing table",
    },
    {
      what: "the pod's interface",
      disturb: (pod: TestNetns) => pod.ip("link", "delete", "eth0"),
      error: "Interface name eth0 not found",
    },
    {
      what: "the bridge's port",
      disturb: detachPort,
      error: "CNI veth created for bridge cni0 was not found",
    },
    {
      what: "the reservation",
      disturb: removeReservation,
      error: "host-local: Failed to find address added by container cnitool-",
    },
  ] as const;

  test("succeeds directly after add", async () => {
    await using node = await createCniNode(ownConflist);
    await using pod = await createNetns();
    await cnitool(node, "add", pod);
    expect(await cnitool(node, "check", pod)).toMatchObject({ stdout: "", stderr: "" });
  });

  test.each(disturbances)("fails when $what is gone, and del still cleans up", async ({ disturb, error }) => {
    await using node = await createCniNode(ownConflist);
    await using pod = await createNetns();
    await cnitool(node, "add", pod);
    await disturb(pod, node);
    expect(await failingCnitool(node, "check", pod)).toStartWith(error);
    await cnitool(node, "del", pod);
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });
});

await describeWith(needs, "cnitool status", () => {
  test("succeeds on a node that can take pods, also when its addresses are used up", async () => {
    await using node = await createCniNode(ownConflist);
    await using pod = await createNetns();
    expect(await cnitool(node, "status", pod)).toMatchObject({ stdout: "", stderr: "" });
    for (let last = 1; last < 255; last++) {
      await node.write(`var/lib/cni/networks/cbr0/10.244.1.${last}`, "another\r\neth0");
    }
    expect(await failingCnitool(node, "add", pod)).toContain("no IP addresses available in range set");
    await cnitool(node, "status", pod);
  });

  test("fails on a node without a subnet.env, and names it", async () => {
    await using node = await createCniNode(ownConflist);
    await using pod = await createNetns();
    await rm(node.path("run/flannel/subnet.env"));
    expect(await failingCnitool(node, "status", pod)).toStartWith("failed to load flannel 'subnet.env' file: ");
  });
});

await describeWith(needs, "cnitool gc", () => {
  // cnitool's library deletes the pods that it knows of, and then calls the plugin without the list of those that stay.
  test("deletes the pods that the runtime knows of, and frees nothing more without a list of those that stay", async () => {
    await using node = await createCniNode(ownConflist);
    await using known = await createNetns();
    await using unknown = await createNetns();
    await cnitool(node, "add", unknown);
    await rm(node.path("var/lib/cni/results"), { recursive: true });
    await cnitool(node, "add", known);

    expect(await failingCnitool(node, "gc", known)).toContain('missing "cni.dev/valid-attachments"');
    expect(await podAddresses(known)).toEqual([]);
    expect(await podAddresses(unknown)).toEqual(["10.244.1.2/24"]);
    await cnitool(node, "del", unknown);
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.3")]);
  });
});

await describeWith([...needs, "peer:cni-plugins", "peer:flannel-cni"], "cnitool between upstream and ours", () => {
  const upstream = {
    flannel: peerProgram("flannel-cni", "flannel"),
    bridge: peerProgram("cni-plugins", "bridge"),
    "host-local": peerProgram("cni-plugins", "host-local"),
    portmap: peerProgram("cni-plugins", "portmap"),
  };

  test("deletes with our plugins and our conflist a pod that upstream's added with theirs", async () => {
    await using node = await createCniNode(stockConflist);
    await using pod = await createNetns();
    await installForeign(node, upstream);
    await cnitool(node, "add", pod);
    await installOurPlugins(node);
    await installConflist(node, ownConflist);
    await cnitool(node, "del", pod);
    expect(await podAddresses(pod)).toEqual([]);
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });

  test("deletes with upstream's plugins and conflist a pod that ours added with our own", async () => {
    await using node = await createCniNode(ownConflist);
    await using pod = await createNetns();
    await cnitool(node, "add", pod);
    await installForeign(node, upstream);
    await installConflist(node, stockConflist);
    await cnitool(node, "del", pod);
    expect(await podAddresses(pod)).toEqual([]);
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });
});

async function podAddresses(pod: TestNetns): Promise<readonly string[]> {
  const addresses = await listAddresses(pod);
  return addresses.filter(({ device }) => device === "eth0").map(({ address }) => address);
}

async function detachPort(_: TestNetns, node: TestNode): Promise<void> {
  const links = await listLinks(node.netns);
  const port = links.find(({ kind }) => kind === "veth");
  await node.netns.ip("link", "set", "dev", port?.name ?? "", "nomaster");
}

async function removeReservation(_: TestNetns, node: TestNode): Promise<void> {
  await rm(node.path("var/lib/cni/networks/cbr0/10.244.1.2"));
}

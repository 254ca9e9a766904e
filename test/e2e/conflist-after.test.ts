import { expect, test } from "bun:test";

import { Decoder, parseJson } from "../../src/base/decode.ts";
import type { JsonObject } from "../../src/base/decode.ts";
import {
  createCniNode,
  installForeign,
  lastingAfter,
  listNodeLeftovers,
  installConflist,
} from "../helpers/cni-node.ts";
import { cnitool, failingCnitool } from "../helpers/cnitool.ts";
import { ownConflist, surroundedConflist } from "../helpers/conflists.ts";
import { fetchGreeting, startGreeter } from "../helpers/greeter.ts";
import { findLink, listLinks, listRuleset } from "../helpers/kernel.ts";
import { createNetns } from "../helpers/netns.ts";
import type { TestNetns } from "../helpers/netns.ts";
import type { TestNode } from "../helpers/node.ts";
import { createNoopPlugin } from "../helpers/noop-plugin.ts";
import { peerProgram } from "../helpers/peers.ts";
import { describeWith } from "../helpers/require.ts";
import { listQdiscs } from "../helpers/traffic-control.ts";

const needs = ["root", "executable", "link:veth", "link:bridge", "peer:cnitool", "peer:cni-plugins"] as const;

const tuning = {
  type: "tuning",
  mac: "02:00:5e:00:53:01",
  mtu: 1300,
  sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" },
} as const;

const portmap = { type: "portmap", backend: "nftables", capabilities: { portMappings: true } } as const;
const bandwidth = { type: "bandwidth", capabilities: { bandwidth: true } } as const;

const mapping = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] };
const limit = {
  bandwidth: { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 16_000_000, egressBurst: 800_000 },
};

await describeWith(needs, "a conflist with foreign plugins after ours", () => {
  test("has tuning change the pod's MAC address, MTU and settings, which check accepts", async () => {
    await using node = await createAfterNode([tuning]);
    await using pod = await createNetns();
    const { stdout } = await cnitool(node, "add", pod);

    expect(await findLink(pod, "eth0")).toMatchObject({ mac: tuning.mac, mtu: tuning.mtu });
    expect((await pod.run(["cat", "/proc/sys/net/ipv4/conf/eth0/arp_filter"])).stdout).toBe("1\n");
    const interfaces = new Decoder(parseJson(stdout)).field("interfaces").list();
    expect(interfaces.map((item) => item.field("mac").string())).toContain(tuning.mac);
    expect((await pod.run(["ping", "-c", "1", "-W", "2", "10.244.1.1"])).stdout).toContain(" 0% packet loss");

    await cnitool(node, "check", pod);
    await cnitool(node, "del", pod);
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });

  test("leaves nothing when a plugin after ours has failed and the runtime deletes", async () => {
    await using node = await createAfterNode([{ type: "tuning", sysctl: { "net.ipv4.no_such_setting": "1" } }]);
    await using pod = await createNetns();
    expect(await failingCnitool(node, "add", pod)).toContain("no_such_setting");
    await cnitool(node, "del", pod);
    expect(await findLink(pod, "eth0")).toBeUndefined();
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });

  test("hands its result to the next plugin as that reads it, and checks with what that made of it", async () => {
    await using node = await createCniNode(ownConflist);
    await installForeign(node, { noop: peerProgram("cnitool", "noop") });
    const after = await createNoopPlugin(node, "after", { ReportResult: "INJECT-DNS" });
    await installConflist(node, surroundedConflist([], [after.entry]));
    await using pod = await createNetns();

    const { stdout } = await cnitool(node, "add", pod);
    const result = new Decoder(parseJson(stdout));
    expect(result.field("dns").field("nameservers").value).toEqual(["1.2.3.4"]);
    await cnitool(node, "check", pod);
    await cnitool(node, "del", pod);
    const calls = await after.calls();
    expect(calls.map(({ command }) => command)).toEqual(["ADD", "CHECK", "DEL"]);
    const given = new Decoder(calls[0]?.config).field("prevResult");
    for (const key of ["cniVersion", "interfaces", "ips", "routes"]) {
      expect(given.field(key).value).toEqual(result.field(key).value);
    }
  });

  test("has portmap reach the pod from outside, from the node and from the pod itself", async () => {
    await using node = await createAfterNode([portmap]);
    await using pod = await createNetns();
    await using outside = await createNetns({ loopbackUp: true });
    await joinNetns(node, outside);
    await cnitool(node, "add", pod, { capabilities: mapping });
    expect(await podRules(node.netns)).not.toEqual([]);
    await using greeter = await startGreeter(pod, 80);

    expect(await fetchGreeting(outside, "192.0.2.1", 8080)).toBe("hello");
    expect(await fetchGreeting(node.netns, "127.0.0.1", 8080)).toBe("hello");
    expect(await fetchGreeting(node.netns, "192.0.2.1", 8080)).toBe("hello");
    // The pod's own packets come back through the port that they went out of, which hairpin mode allows.
    expect(await fetchGreeting(pod, "192.0.2.1", 8080)).toBe("hello");

    await cnitool(node, "check", pod, { capabilities: mapping });
    await cnitool(node, "del", pod, { capabilities: mapping });
    expect(await fetchGreeting(outside, "192.0.2.1", 8080)).toBe("");
    expect(greeter.exitCode).toBeUndefined();
    expect(await podRules(node.netns)).toEqual([]);
    expect(await lastingOn(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });
});

await describeWith([...needs, "link:ifb", "tool:tc"], "a conflist with bandwidth after ours", () => {
  test("has both directions limited at the veth that our result names", async () => {
    await using node = await createAfterNode([bandwidth]);
    await using pod = await createNetns();
    await cnitool(node, "add", pod, { capabilities: limit });

    const links = await listLinks(node.netns);
    const host = links.find(({ kind }) => kind === "veth")?.name ?? "";
    const ifb = links.find(({ kind }) => kind === "ifb");
    expect(ifb).toMatchObject({ mtu: 1450, up: true });
    const wanted = [`ingress dev ${host}`, `tbf dev ${host}`, `tbf dev ${ifb?.name ?? ""}`];
    expect((await listQdiscs(node.netns)).toSorted()).toEqual(wanted.toSorted());
    expect((await pod.run(["ping", "-c", "1", "-W", "2", "10.244.1.1"])).stdout).toContain(" 0% packet loss");

    await cnitool(node, "check", pod, { capabilities: limit });
    await cnitool(node, "del", pod, { capabilities: limit });
    expect(await listNodeLeftovers(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });

  test("adds, checks and deletes with tuning, bandwidth and portmap together", async () => {
    await using node = await createAfterNode([tuning, bandwidth, portmap]);
    await using pod = await createNetns();
    const options = { capabilities: { ...limit, ...mapping } };
    await cnitool(node, "add", pod, options);
    await using greeter = await startGreeter(pod, 80);
    expect(await fetchGreeting(node.netns, "127.0.0.1", 8080)).toBe("hello");

    await greeter.stop();
    await cnitool(node, "check", pod, options);
    await cnitool(node, "del", pod, options);
    expect(await podRules(node.netns)).toEqual([]);
    expect(await lastingOn(node)).toEqual([...lastingAfter("10.244.1.2")]);
  });
});

/** A node whose network has these entries after ours, executed as the reference plugins of their names. */
async function createAfterNode(entries: readonly JsonObject[]): Promise<TestNode> {
  await using made = new AsyncDisposableStack();
  const node = made.use(await createCniNode(surroundedConflist([], entries)));
  const names = ["tuning", "bandwidth", "portmap"];
  await installForeign(node, Object.fromEntries(names.map((name) => [name, peerProgram("cni-plugins", name)])));
  made.move();
  return node;
}

/** Joins a node, as 192.0.2.1, with a namespace in place of another machine, as 192.0.2.2. */
async function joinNetns(node: TestNode, outside: TestNetns): Promise<void> {
  await node.netns.ip("link", "add", "outside", "type", "veth", "peer", "name", "node", "netns", outside.name);
  await node.netns.ip("addr", "add", "192.0.2.1/24", "dev", "outside");
  await outside.ip("addr", "add", "192.0.2.2/24", "dev", "node");
  await node.netns.ip("link", "set", "outside", "up");
  await outside.ip("link", "set", "node", "up");
}

/** The rules of portmap that are one pod's: it marks them with the container's name. Its tables and chains stay. */
async function podRules(netns: TestNetns): Promise<readonly unknown[]> {
  const ruleset = await listRuleset(netns);
  return ruleset.filter((item) => item.field("rule").field("comment").string() !== undefined).map(({ value }) => value);
}

/** What is left on a node, but for portmap's tables and the link that joins it with another machine. */
async function lastingOn(node: TestNode): Promise<readonly string[]> {
  const left = await listNodeLeftovers(node);
  return left.filter((line) => !line.startsWith("nft ") && !/ outside\b|dev outside\b/.test(line));
}

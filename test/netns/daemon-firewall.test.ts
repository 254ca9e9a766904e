import { expect, test } from "bun:test";

import type { ClusterNode } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { createLoneNode, type LoneNode } from "../helpers/node-pair.ts";
import { ruleset } from "../helpers/nftables.ts";
import { describeWith } from "../helpers/require.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const repairTimeMs = 1000;

/** One way to damage the rules: nft commands, one a line, with what the log says of the repair. */
const damages: readonly { readonly name: string; readonly commands: readonly string[]; readonly log: RegExp }[] = [
  { name: "the whole ruleset flushed", commands: ["flush ruleset"], log: /table ip flannel-ipv4 missing: repaired/ },
  { name: "the table deleted", commands: ["delete table ip flannel-ipv4"], log: /flannel-ipv4 missing: repaired/ },
  { name: "the table flushed", commands: ["flush table ip flannel-ipv4"], log: /postrtg with other rules.*: repaired/ },
  {
    name: "a chain deleted",
    commands: ["flush chain ip flannel-ipv4 postrtg", "delete chain ip flannel-ipv4 postrtg"],
    log: /chain postrtg missing: repaired/,
  },
  {
    name: "a rule added ahead",
    commands: ["insert rule ip flannel-ipv4 postrtg accept"],
    log: /chain postrtg with other rules: repaired/,
  },
  {
    name: "rules of another content",
    commands: ["flush chain ip flannel-ipv4 forward", "add rule ip flannel-ipv4 forward ip saddr 10.244.0.0/17 accept"],
    log: /chain forward with other rules: repaired/,
  },
  {
    name: "a base chain's policy changed",
    commands: ["chain ip flannel-ipv4 forward { policy drop; }"],
    log: /chain forward with another hook: repaired/,
  },
  {
    name: "a chain of another hook in its place",
    commands: [
      "delete table ip flannel-ipv4",
      "add table ip flannel-ipv4",
      "add chain ip flannel-ipv4 postrtg { type nat hook input priority 100; }",
    ],
    log: /chain postrtg with another hook: repaired/,
  },
  {
    name: "a chain and a set added",
    commands: [
      "add chain ip flannel-ipv4 other { type filter hook forward priority 0; policy drop; }",
      "add set ip flannel-ipv4 s { type ipv4_addr; }",
    ],
    log: /with foreign objects: repaired/,
  },
  {
    name: "the table made dormant",
    commands: ["add table ip flannel-ipv4 { flags dormant; }"],
    log: /dormant or owned: repaired/,
  },
  {
    name: "the rules in FORWARD deleted",
    commands: ["flush chain ip filter FORWARD"],
    log: /chain ip filter FORWARD: 2 rules of ours added: repaired/,
  },
];

async function startMasquerading(flags: readonly string[] = []): Promise<LoneNode> {
  const lone = await createLoneNode();
  await lone.node.netns.run(["iptables", "-P", "FORWARD", "DROP"]);
  await lone.node.startReady(["--ip-masq", ...flags]);
  return lone;
}

/** The ruleset without the host's own chain, which no flush has to bring back. */
async function oursOf(node: ClusterNode): Promise<string> {
  const text = await ruleset(node.netns);
  return text.slice(text.indexOf("table ip flannel-ipv4"));
}

await describeWith(["root", "executable", "tool:nft", "tool:iptables", "link:vxlan", "link:veth"], "flanneld", () => {
  test("puts its rules right within a second of whatever damages them", async () => {
    await using lone = await startMasquerading();
    const { node } = lone;
    for (const { name, commands, log } of damages) {
      await node.netns.run(["iptables", "-P", "FORWARD", "DROP"]);
      await eventually(async () => (await ruleset(node.netns)).split("tartan forward").length, 3);
      const before = await ruleset(node.netns);
      const logged = node.log.length;
      await node.netns.run(["nft", "-f", "-"], { stdin: commands.join("\n") });
      const read = name === "the whole ruleset flushed" ? oursOf : (one: ClusterNode) => ruleset(one.netns);
      const wanted =
        name === "the whole ruleset flushed" ? before.slice(before.indexOf("table ip flannel-ipv4")) : before;
      expect({
        name,
        rules: sorted(await eventually(async () => sorted(await read(node)), sorted(wanted), repairTimeMs)),
      }).toEqual({
        name,
        rules: sorted(wanted),
      });
      await waitUntil(`the log tells of "${name}"`, () => log.test(node.log.slice(logged)), repairTimeMs);
    }
    expect(await node.readiness()).toMatchObject({ status: 200 });
  }, 60_000);

  test("puts its rules right also when the kernel could not tell of what happened to them", async () => {
    await using lone = await startMasquerading();
    const { node } = lone;
    const before = await ruleset(node.netns);
    // So many events that the daemon's socket cannot hold them; what comes after them is not told at all.
    process.kill(node.daemon.pid, "SIGSTOP");
    const rule = "add rule ip other c ip daddr 192.0.2.77 tcp dport 80 counter drop";
    const rules = ["add table ip other", "add chain ip other c", ...Array.from({ length: 40_000 }, () => rule)];
    await node.netns.run(["nft", "-f", "-"], { stdin: rules.join("\n"), timeoutMs: 60_000 });
    await node.netns.run(["nft", "delete", "table", "ip", "flannel-ipv4"]);
    await node.netns.run(["nft", "delete", "table", "ip", "other"]);
    process.kill(node.daemon.pid, "SIGCONT");
    await node.logged(/table ip flannel-ipv4 missing: repaired/, 2 * repairTimeMs);
    expect(sorted(await ruleset(node.netns))).toBe(sorted(before));
  }, 60_000);

  test("keeps its rules when it ends, and takes away what a later one is not asked for", async () => {
    await using lone = await startMasquerading();
    const { node } = lone;
    const before = await ruleset(node.netns);
    await node.daemon.stop();
    expect(await ruleset(node.netns)).toBe(before);
    await node.startReady(["--iptables-forward-rules=false"]);
    expect(await ruleset(node.netns)).not.toMatch(/flannel-ipv4|tartan/);
    await node.daemon.stop();
    await node.startReady();
    expect(await ruleset(node.netns)).toMatch(/tartan forward[^]*chain forward/);
    expect(await ruleset(node.netns)).not.toContain("postrtg");
    expect(await Bun.file(node.subnetFile).text()).toContain("FLANNEL_IPMASQ=false");
    await node.daemon.stop();
    await node.startReady(["--ip-masq", "--ip-masq-fully-random-disable"]);
    expect(await ruleset(node.netns)).toMatch(/ masquerade comment/);
    expect(await Bun.file(node.subnetFile).text()).toContain("FLANNEL_IPMASQ=true");
  }, 60_000);

  test("follows nonMasqueradeCIDRs and masqueradeIPv4 of the configuration while it runs", async () => {
    await using lone = await startMasquerading();
    const { cluster, node } = lone;
    const base = { Network: "10.244.0.0/16", Backend: { Type: "vxlan" } };
    await cluster.configure({ ...base, nonMasqueradeCIDRs: ["10.0.0.0/8", "fd00::/8"] });
    await waitUntil("the list is in force", async () => (await oursOf(node)).includes("ip daddr 10.0.0.0/8 return"));
    await cluster.configure({ ...base, masqueradeIPv4: false });
    await waitUntil("nothing is masqueraded", async () => !(await oursOf(node)).includes("postrtg"));
    // The plugin's delegate is not to begin with it: who masquerades has not changed.
    expect(await Bun.file(node.subnetFile).text()).toContain("FLANNEL_IPMASQ=true");
    await cluster.configure({ ...base, nonMasqueradeCIDRs: ["10.0.0.0/33"] });
    await node.logged(/nonMasqueradeCIDRs\[0\].*it must be a CIDR/);
    expect(await oursOf(node)).not.toContain("postrtg");
    await cluster.configure(base);
    await waitUntil("all is masqueraded", async () => (await oursOf(node)).includes("masquerade fully-random"));
    expect(node.log).toContain("nonMasqueradeCIDRs of IPv4: 10.0.0.0/8");
    expect(node.log).not.toMatch(/^error(?!.*nonMasqueradeCIDRs)/m);
  }, 30_000);

  test("is not ready while its rules are refused, writes no subnet.env, and goes on by itself", async () => {
    await using lone = await createLoneNode();
    const { node } = lone;
    // A table that another process owns: nobody else may change it, and it goes when that process ends.
    const table = 'echo "add table ip flannel-ipv4 { flags owner; }"';
    await using owner = node.netns.start(["sh", "-c", `(${table}; sleep 2) | nft -i`]);
    await waitUntil("the table is there", async () => (await ruleset(node.netns)).includes("flannel-ipv4"));
    node.start(["--ip-masq"]);
    await node.logged(/^error table ip flannel-ipv4 dormant or owned: Cannot .*not permitted \(EPERM\)/m);
    const { status, text } = await node.readiness();
    expect(status).toBe(503);
    expect(text).toContain("(EPERM)");
    expect(await Bun.file(node.subnetFile).exists()).toBe(false);
    await owner.ended;
    await waitUntil("it is ready", async () => (await node.readiness()).status === 200);
    expect(await Bun.file(node.subnetFile).text()).toContain("FLANNEL_IPMASQ=true");
    expect(await oursOf(node)).toContain("postrtg");
  }, 30_000);

  test("says what to do where firewalld or iptables-legacy stands in the way", async () => {
    await using lone = await createLoneNode();
    const { node } = lone;
    await node.netns.run(["nft", "add", "table", "inet", "firewalld"]);
    const legacy = ["iptables-legacy", "-t", "nat"];
    await node.netns.run([...legacy, "-N", "FLANNEL-POSTRTG"]);
    const jump = ["-m", "comment", "--comment", "flanneld masq", "-j", "FLANNEL-POSTRTG"];
    await node.netns.run([...legacy, "-A", "POSTROUTING", ...jump]);
    await node.startReady(["--ip-masq"]);
    expect(node.log).toMatch(/firewalld runs here.*firewall-cmd .*--zone=trusted --add-source=10\.244\.0\.0\/16 &&/);
    // A reload makes the table anew: nothing is told twice.
    await node.netns.run(["nft", "delete", "table", "inet", "firewalld"]);
    await node.netns.run(["nft", "add", "table", "inet", "firewalld"]);
    await node.netns.run(["nft", "delete", "table", "ip", "flannel-ipv4"]);
    await node.logged(/flannel-ipv4 missing: repaired/);
    expect(node.log.match(/firewalld runs here/g)).toHaveLength(1);
    const command = /is in iptables-legacy; to remove it: (.*)$/m.exec(node.log)?.[1] ?? "";
    await node.netns.run(["sh", "-ec", command]);
    const { stdout } = await node.netns.run(["iptables-legacy-save", "-t", "nat"]);
    expect(stdout).not.toContain("FLANNEL");
  }, 30_000);
});

/** The lines of a ruleset without order: chains that are made anew come last. */
function sorted(text: string): string {
  return text.split("\n").toSorted().join("\n");
}

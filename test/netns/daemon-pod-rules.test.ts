/** What the plugins made for pods in nf_tables, while others take it away and the daemon brings it back. */
import { expect, test } from "bun:test";

import type { BackgroundProcess } from "../helpers/background.ts";
import { eventually } from "../helpers/eventually.ts";
import { createExecutableDirectory } from "../helpers/executable.ts";
import { createKeptHost, flush, nft, podConfig } from "../helpers/kept-host.ts";
import { startMirror } from "../helpers/mirror.ts";
import { podElements, ruleset } from "../helpers/nftables.ts";
import type { TestNetns } from "../helpers/netns.ts";
import { mapping, outsideAddress } from "../helpers/port-host.ts";
import { describeWith } from "../helpers/require.ts";
import { waitUntil } from "../helpers/wait-until.ts";

const repairTimeMs = 1000;
/** Longer than any repair takes. */
const settleMs = 1500;

interface Damage {
  readonly name: string;
  readonly commands: readonly string[];
  readonly log: RegExp;
}

const damages: readonly Damage[] = [
  { name: "ruleset flushed", commands: ["flush ruleset"], log: /table inet tartan missing.*by process nft: repaired/ },
  { name: "table deleted", commands: ["delete table inet tartan"], log: /table inet tartan missing/ },
  { name: "MAC table deleted", commands: ["delete table bridge tartan"], log: /table bridge tartan missing/ },
  {
    name: "element deleted",
    commands: ["delete element inet tartan ports4 { tcp . 8080 }"],
    log: /1 elements of 1 pods missing or changed in table inet tartan/,
  },
  {
    name: "element changed",
    commands: [
      "delete element inet tartan ports4 { tcp . 8080 }",
      "add element inet tartan ports4 { tcp . 8080 : 10.244.1.99 . 1 }",
    ],
    log: /1 elements of 1 pods missing or changed/,
  },
  { name: "set flushed", commands: ["flush map inet tartan hostport_pods"], log: /elements of 2 pods missing/ },
  {
    name: "index and its chains deleted",
    commands: ["flush chain inet tartan masquerading", "delete set inet tartan masquerade_10.244.1.0/24"],
    log: /set masquerade_10\.244\.1\.0\/24 of table inet tartan missing/,
  },
  {
    name: "rules deleted",
    commands: ["flush chain inet tartan hostports4"],
    log: /chain hostports4 .*with other rules/,
  },
  {
    name: "rule added ahead",
    commands: ["insert rule inet tartan prerouting accept"],
    log: /chain prerouting of table inet tartan with other rules/,
  },
  {
    name: "policy changed",
    commands: ["chain inet tartan guard { policy drop; }"],
    log: /chain guard of table inet tartan missing or with another hook/,
  },
  {
    name: "table dormant",
    commands: ["add table inet tartan { flags dormant; }"],
    log: /table inet tartan dormant or owned/,
  },
  {
    name: "guard's rule replaced",
    commands: ["flush chain bridge tartan prerouting", "add rule bridge tartan prerouting drop"],
    log: /chain prerouting of table bridge tartan with other rules/,
  },
];

/** The plugins' tables as lines without order: what is made anew comes in another one. */
async function tables(netns: TestNetns): Promise<string> {
  const texts: string[] = [];
  for (const family of ["inet", "bridge"]) {
    const { stdout } = await netns.run(["nft", "list", "table", family, "tartan"], { exitCode: "any" });
    texts.push(stdout);
  }
  return texts
    .flatMap((text) => text.replaceAll(/,\n?\s*|\s*elements = \{ /g, "\n").split("\n"))
    .map((line) => line.trim().replace(/ \}$/, ""))
    .toSorted()
    .join("\n");
}

async function cpuTimeMs(daemon: BackgroundProcess): Promise<number> {
  const stat = await Bun.file(`/proc/${daemon.pid}/stat`).text();
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

await describeWith(["root", "executable", "tool:nft", "link:vxlan", "link:veth"], "flanneld", () => {
  test("brings back within a second what others take of the plugins' tables", async () => {
    await using plugins = await createExecutableDirectory();
    await using kept = await createKeptHost(plugins);
    const { netns } = kept.host;
    // One pod that is there before the daemon, and one that comes while it runs.
    await kept.addPod(8080);
    await kept.startDaemon(plugins);
    const late = await kept.addPod(8081);
    const before = await tables(netns);
    expect(await podElements(netns)).toHaveLength(26);
    for (const { name, commands, log } of damages) {
      const logged = kept.log.length;
      await nft(netns, commands);
      await waitUntil(`the log tells of "${name}"`, () => log.test(kept.log.slice(logged)), repairTimeMs);
      expect({ name, tables: await tables(netns) }).toEqual({ name, tables: before });
      expect({ name, answer: await kept.answers(8080) }).toEqual({ name, answer: `web8080 ${outsideAddress[4]}` });
      await Bun.sleep(100);
      const lines = kept.log.slice(logged).match(/ tartan\b.*: repaired/g) ?? [];
      expect({ name, lines: lines.length }).toEqual({ name, lines: name === "ruleset flushed" ? 2 : 1 });
    }
    expect(await kept.answers(8081)).toBe(`web8081 ${outsideAddress[4]}`);
    // What was brought back is the pod's again: its DEL removes it.
    await kept.host.delete(podConfig(kept.host, 8081), { pod: late });
    expect((await podElements(netns)).join("\n")).not.toContain("8081");
    expect(await podElements(netns)).toHaveLength(13);
    expect(kept.log).not.toMatch(/^error/m);
  }, 60_000);

  test("leaves deleted what a plugin deletes, before a flush, after it and at the same time", async () => {
    await using plugins = await createExecutableDirectory();
    await using kept = await createKeptHost(plugins);
    const { host } = kept;
    const { netns } = host;
    await kept.startDaemon(plugins);
    await kept.addPod(8080);
    const remaining = await podElements(netns);
    const config = podConfig(host, 8081);
    for (const order of ["before", "after", "together", "together"] as const) {
      const pod = await kept.addPod(8081);
      if (order === "before") await host.delete(config, { pod });
      if (order === "together") await Promise.all([flush(netns), host.delete(config, { pod })]);
      else await flush(netns);
      if (order === "after") await host.delete(config, { pod });
      await Bun.sleep(settleMs);
      expect({ order, elements: await podElements(netns) }).toEqual({ order, elements: remaining });
    }
    // The pod's device goes long after its DEL looked into tables that were empty.
    const pod = await kept.addPod(8081);
    await flush(netns);
    await waitUntil("it is back", async () => (await podElements(netns)).length === 2 * remaining.length, repairTimeMs);
    await pod.netns.ip("link", "delete", "eth0");
    expect(await eventually(() => podElements(netns), remaining, 2000)).toEqual(remaining);
    await host.delete(config, { pod });
    await nft(netns, ["add table inet other"]);
    await Bun.sleep(settleMs);
    expect(await podElements(netns)).toEqual(remaining);
  }, 60_000);

  test("brings nothing back for pods that were gone before it started, nor what it never saw", async () => {
    await using plugins = await createExecutableDirectory();
    await using kept = await createKeptHost(plugins);
    const { netns } = kept.host;
    const pod = await kept.addPod(8080);
    await pod.netns.ip("link", "delete", "eth0");
    await kept.startDaemon(plugins);
    await flush(netns);
    await Bun.sleep(settleMs);
    expect(await tables(netns)).toMatch(/^\s*$/);
    expect(kept.log).not.toMatch(/ tartan\b.*repaired/);
  }, 30_000);

  test("makes an earlier version's table anew at its start, also one without elements", async () => {
    await using plugins = await createExecutableDirectory();
    await using kept = await createKeptHost(plugins);
    const { host } = kept;
    const { netns } = host;
    const pod = await kept.addPod(8080);
    await host.delete(podConfig(host, 8080), { pod });
    expect(await podElements(netns)).toEqual([]);
    const [made, wanted] = [await ruleset(netns), await tables(netns)];
    const earlier = made.replaceAll("priority dstnat + 1;", "priority dstnat;");
    expect(earlier).not.toBe(made);
    await nft(netns, ["flush ruleset", earlier]);
    await kept.startDaemon(plugins);
    await waitUntil("the log tells of it", () => /chain prerouting .* another hook.*: repaired/.test(kept.log));
    expect(await tables(netns)).toBe(wanted);
    await kept.addPod(8081);
    expect(await kept.answers(8081)).toBe(`web8081 ${outsideAddress[4]}`);
  }, 30_000);

  test("removes what a saved ruleset brings back of a pod that is gone, and nothing of one that is there", async () => {
    await using plugins = await createExecutableDirectory();
    await using kept = await createKeptHost(plugins);
    const { host } = kept;
    const { netns } = host;
    await kept.startDaemon(plugins);
    await kept.addPod(8080);
    const remaining = await podElements(netns);
    const gone = await kept.addPod(8081);
    // Nobody knows a device of this one.
    await nft(netns, [
      'add element inet tartan ports4 { tcp . 9999 comment "tartan cbr0 other eth0 -" : 10.244.1.9 . 9 }',
    ]);
    const saved = await ruleset(netns);
    await host.delete(podConfig(host, 8081), { pod: gone });
    await nft(netns, ["flush ruleset", saved]);
    expect((await podElements(netns)).join("\n")).toContain("8081");
    const left = [...remaining, "inet ports4: tcp . 9999 : 10.244.1.9 . 9"].toSorted();
    expect(await eventually(() => podElements(netns), left, 6000)).toEqual(left);
    expect(kept.log).toMatch(/\d+ elements of pods that are gone in table inet tartan \(veth\w+\): removed/);
    expect(kept.log).toMatch(/\d+ elements of pods that are gone in table bridge tartan \(veth\w+\): removed/);
    await Bun.sleep(settleMs);
    expect(await podElements(netns)).toEqual(left);
    expect(await kept.answers(8080)).toBe(`web8080 ${outsideAddress[4]}`);
    expect(kept.log).not.toMatch(/^error/m);
  }, 30_000);

  test("brings back what went while events were lost, and not what a plugin deleted meanwhile", async () => {
    await using plugins = await createExecutableDirectory();
    await using kept = await createKeptHost(plugins);
    const { host } = kept;
    const { netns } = host;
    const daemon = await kept.startDaemon(plugins);
    await kept.addPod(8080);
    const remaining = await podElements(netns);
    const pod = await kept.addPod(8081);
    // So many events that the daemon's socket cannot hold them, of a chain that the kernel's filter lets pass; what comes
    // after them is not told at all.
    process.kill(daemon.pid, "SIGSTOP");
    const rules = Array.from(
      { length: 80_000 },
      () => "add rule ip filter FORWARD ip daddr 192.0.2.77 tcp dport 80 counter drop",
    );
    await nft(netns, ["add table ip filter", "add chain ip filter FORWARD", ...rules]);
    await host.delete(podConfig(host, 8081), { pod });
    await flush(netns);
    process.kill(daemon.pid, "SIGCONT");
    expect(await eventually(() => podElements(netns), remaining, 2 * repairTimeMs)).toEqual(remaining);
    expect(await kept.answers(8080)).toBe(`web8080 ${outsideAddress[4]}`);
    await Bun.sleep(settleMs);
    expect(await podElements(netns)).toEqual(remaining);
    expect(kept.log).toMatch(/table inet tartan missing.*after events were lost: repaired/);
  }, 60_000);

  test("is not ready while the kernel refuses to take back what pods had, and goes on by itself", async () => {
    await using plugins = await createExecutableDirectory();
    await using kept = await createKeptHost(plugins);
    const { netns } = kept.host;
    await kept.startDaemon(plugins);
    await kept.addPod(8080);
    const before = await tables(netns);
    await waitUntil("it is ready", async () => (await kept.readiness()).status === 200);
    // In place of ours a table that another process owns: nobody else may change it, and it goes when that process ends.
    const commands = "delete table inet tartan; add table inet tartan { flags owner; }";
    await using owner = netns.start(["sh", "-c", `(echo "${commands}"; sleep 3) | nft -i`]);
    const refused = /what the plugins made for pods in nf_tables cannot be kept: .*\(EPERM\)/;
    await waitUntil("the log tells of it", () => refused.test(kept.log));
    const { status, text } = await kept.readiness();
    expect(status).toBe(503);
    expect(text).toMatch(refused);
    await owner.ended;
    await waitUntil("it is ready again", async () => (await kept.readiness()).status === 200);
    expect(await tables(netns)).toBe(before);
    expect(await kept.answers(8080)).toBe(`web8080 ${outsideAddress[4]}`);
    expect(kept.log.match(new RegExp(refused, "g"))).toHaveLength(1);
  }, 30_000);

  test("brings 5,000 mappings back within a second", async () => {
    await using plugins = await createExecutableDirectory();
    await using kept = await createKeptHost(plugins);
    const { host } = kept;
    const { netns } = host;
    const daemon = await kept.startDaemon(plugins);
    const pod = await host.addPod();
    const ports = Array.from({ length: 5000 }, (_, number) => mapping(20_000 + number, 80));
    const config = { ...podConfig(host, 1), runtimeConfig: { portMappings: ports } };
    await host.add(config, { pod });
    await using mirror = await startMirror(pod.netns, "web", 80);
    expect(mirror.stdout).toContain("ready");
    await Bun.sleep(200);
    const used = await cpuTimeMs(daemon);
    await flush(netns);
    const flushed = performance.now();
    await waitUntil("it is told", () => /\d{5} elements .*: repaired/.test(kept.log), 3000);
    expect(performance.now() - flushed).toBeLessThan(repairTimeMs);
    expect((await cpuTimeMs(daemon)) - used).toBeLessThan(repairTimeMs);
    expect(await kept.answers(24_999)).toBe(`web ${outsideAddress[4]}`);
    await host.delete(config, { pod });
    expect(await podElements(netns)).toEqual([]);
  }, 60_000);
});

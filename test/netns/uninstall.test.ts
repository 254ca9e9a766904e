/** `tartan uninstall`, of files and rules; always in a network of the test's own. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";

import { runCommand } from "../helpers/command.ts";
import type { ClusterNode } from "../helpers/cluster.ts";
import { executablePath } from "../helpers/executable.ts";
import { createInstallPlace, type InstallPlace, stockList } from "../helpers/install-place.ts";
import { createLoneNode } from "../helpers/node-pair.ts";
import { ruleset } from "../helpers/nftables.ts";
import { describeWith } from "../helpers/require.ts";

async function uninstall({ netns, subnetFile }: ClusterNode, place: InstallPlace): Promise<string> {
  const places = ["--bin-dir", place.binDirectory, `--net-dir=${place.netDirectory}`];
  const written = [`--state-dir=${place.directory.join("state")}`, "--subnet-file", subnetFile];
  const words = [executablePath, "uninstall", ...places, ...written];
  const { stdout, stderr } = await netns.run(["env", "-i", "PATH=", ...words]);
  return stdout + stderr;
}

const requirements = ["root", "executable", "link:vxlan", "link:veth", "tool:nft"] as const;
await describeWith(requirements, "tartan uninstall", () => {
  test("takes out files, the daemon's notes and its rules, and leaves data beside them", async () => {
    await using lone = await createLoneNode();
    await using place = await createInstallPlace();
    await place.installList(stockList);
    const notes = await place.directory.write("state/kube-nodes", "{}");
    const lease = await place.directory.write("state/leases/config", "{}");
    await lone.node.startReady(["--ip-masq"]);
    await lone.node.daemon.stop();
    const { netns, subnetFile } = lone.node;
    expect(await ruleset(netns)).toContain("flannel-ipv4");
    const told = await uninstall(lone.node, place);
    expect(told).toContain("removed table ip flannel-ipv4\n");
    expect(told).not.toContain("stop it");
    expect(told).toContain(`removed ${subnetFile}\n`);
    expect(await ruleset(netns)).toBe("");
    expect(await place.names()).toEqual([]);
    expect([notes, lease, subnetFile].map((path) => existsSync(path))).toEqual([false, true, false]);
    await rm(place.directory.join("state/leases"), { recursive: true });
    expect(await uninstall(lone.node, place)).not.toContain(subnetFile);
    expect(existsSync(place.directory.join("state"))).toBe(false);
  });

  test("leaves a network that has become somebody else's its rules", async () => {
    await using lone = await createLoneNode();
    await using place = await createInstallPlace();
    await place.installList(stockList);
    await runCommand(["cp", "-f", "/bin/true", place.plugin("flannel")]);
    await lone.node.startReady(["--ip-masq"]);
    await lone.node.daemon.stop();
    const before = await ruleset(lone.node.netns);
    expect(await uninstall(lone.node, place)).toContain("somebody else's");
    expect(await ruleset(lone.node.netns)).toBe(before);
    expect(existsSync(lone.node.subnetFile)).toBe(true);
    expect(await place.names()).toEqual(["bin/flannel", "net.d/10-flannel.conflist"]);
  });

  test("leaves the subnet file while a flanneld runs in the node's network", async () => {
    await using lone = await createLoneNode();
    await using place = await createInstallPlace();
    await lone.node.startReady();
    const { subnetFile } = lone.node;
    const told = await uninstall(lone.node, place);
    expect(told).toMatch(/process \d+ is a flanneld of this node: \S+subnet.env stays\n/);
    expect(told).toMatch(/warning: process \d+ brings its rules back: stop it first, then run this again\n/);
    expect(existsSync(subnetFile)).toBe(true);
  });

  test("says that it needs root, before it touches anything", async () => {
    // The one capability lets it reach the executable, wherever that lies.
    const nobody = ["setpriv", "--reuid=65534", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"];
    for (const words of [[], ["--rules"]]) {
      const { stdout, stderr } = await runCommand([...nobody, executablePath, "uninstall", ...words], { exitCode: 1 });
      expect(stdout).toBe("");
      expect(stderr).toBe(
        "tartan uninstall: Cannot uninstall: it removes system files and rules in nf_tables, which only root may do\n",
      );
    }
  });

  test("knows no other word, and no file where only rules are to go", async () => {
    for (const [words, wanted] of [
      [["--everything"], 'unknown option "--everything"'],
      [["--rules", "--bin-dir=/b"], 'option "--bin-dir" does not go with "--rules"'],
      [["--bin-dir"], 'option "--bin-dir" needs a value'],
    ] as const) {
      const { stderr } = await runCommand([executablePath, "uninstall", ...words], { exitCode: 2 });
      expect(stderr).toStartWith(`tartan uninstall: ${wanted}`);
    }
  });
});

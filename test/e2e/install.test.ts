import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { copyFile, link, mkdir, readFile, symlink, unlink, writeFile } from "node:fs/promises";

import packageJson from "../../package.json" with { type: "json" };
import { runCommand } from "../helpers/command.ts";
import { executablePath, linkPrograms } from "../helpers/executable.ts";
import {
  createInstallPlace,
  expectInstalled,
  inodeOf,
  installedNames,
  sameBytes,
  stockList,
} from "../helpers/install-place.ts";
import { describeWith } from "../helpers/require.ts";

/** Kind and mode of each name. */
function modes(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.split(" ").slice(0, 3).join(" "));
}

await describeWith(["executable"], "install-cni", () => {
  test("puts executable, links, flannel as a file of its own, and the list, and nothing else", async () => {
    await using place = await createInstallPlace();
    await using programs = await linkPrograms({ "install-cni": executablePath });
    const conflist = await place.directory.write("cni-conf.json", stockList);
    const words = ["--bin-dir", place.binDirectory, "--net-dir", place.netDirectory, "--conflist", conflist];
    const { stdout, stderr } = await runCommand([programs.program("install-cni"), ...words]);
    expect(stderr).toBe("");
    expect(stdout).toContain(`tartan ${packageJson.version}`);
    expect(await place.names()).toEqual(installedNames);
    expect(await inodeOf(place.plugin("flannel"))).not.toBe(await inodeOf(place.plugin("tartan")));
    expect(await sameBytes(place.plugin("flannel"), executablePath)).toBe(true);
    expect(await sameBytes(place.plugin("tartan"), executablePath)).toBe(true);
    expect(await readFile(`${place.netDirectory}/10-flannel.conflist`, "utf8")).toBe(stockList);
    const { stdout: executable } = await runCommand(["stat", "-c", "%a", "flannel", "tartan"], {
      cwd: place.binDirectory,
    });
    expect(executable).toBe("755\n755\n");
    await expectInstalled(place);
  });

  test("repeated, changes nothing, whatever the umask", async () => {
    await using place = await createInstallPlace();
    await place.installList(stockList);
    const before = await place.listing();
    const { stdout } = await place.installList(stockList);
    expect(stdout).toContain("already");
    expect(await place.listing()).toEqual(before);
    await place.install(["--uninstall"]);
    const conflist = place.directory.join("cni-conf.json");
    const words = [executablePath, "install-cni", "--bin-dir", place.binDirectory, "--net-dir", place.netDirectory];
    await runCommand(["sh", "-c", 'umask 077; exec "$@"', "sh", ...words, "--conflist", conflist]);
    expect(modes(await place.listing())).toEqual(modes(before));
  });

  test("does the work of two init containers, one part each", async () => {
    await using place = await createInstallPlace();
    const early = await place.installList(stockList, ["--only", "conflist"], { exitCode: 1 });
    expect(early.stderr).toContain('needs "flannel", "bridge", "host-local", "portmap"');
    expect(await place.names()).toEqual([]);
    await place.installList(stockList, ["--only=plugins"]);
    expect(await place.names()).toEqual(installedNames.filter((name) => name.startsWith("bin/")));
    await place.installList(stockList, ["--only=conflist"]);
    expect(await place.names()).toEqual(installedNames);
  });

  test("after cp -f of another file onto flannel the other names still work, and installing again takes it back", async () => {
    await using place = await createInstallPlace();
    await place.installList(stockList);
    await runCommand(["cp", "-f", "/bin/true", place.plugin("flannel")]);
    expect(await sameBytes(place.plugin("flannel"), "/bin/true")).toBe(true);
    await expectInstalled(place, ["bridge", "host-local", "portmap", "loopback"]);
    expect(await sameBytes(place.plugin("tartan"), executablePath)).toBe(true);
    await place.installList(stockList);
    await expectInstalled(place);
  });

  test("renews what an older release or a person put there: links, hard links, copies", async () => {
    await using place = await createInstallPlace();
    await mkdir(place.binDirectory);
    await copyFile(executablePath, place.plugin("tartan"));
    await link(place.plugin("tartan"), place.plugin("flannel"));
    await symlink(place.plugin("tartan"), place.plugin("bridge"));
    await link(place.plugin("tartan"), place.plugin("portmap"));
    await place.installList(stockList);
    expect(await place.names()).toEqual(installedNames);
    expect(await inodeOf(place.plugin("flannel"))).not.toBe(await inodeOf(place.plugin("tartan")));
    await unlink(place.plugin("flannel"));
    await symlink("tartan", place.plugin("flannel"));
    await place.installList(stockList);
    expect(await place.names()).toEqual(installedNames);
  });

  test("removes what a killed installation left", async () => {
    await using place = await createInstallPlace();
    await mkdir(place.binDirectory);
    await mkdir(place.netDirectory);
    for (const path of ["bin/.tartan.tartan-new", "bin/.bridge.tartan-new", "net.d/.10-flannel.conflist.tartan-new"]) {
      await place.directory.write(path, "half");
    }
    await place.installList(stockList);
    expect(await place.names()).toEqual(installedNames);
  });

  test("warns of a network that runtimes would take instead", async () => {
    await using place = await createInstallPlace();
    await mkdir(place.netDirectory);
    await writeFile(`${place.netDirectory}/05-other.conf`, "{}");
    await writeFile(`${place.netDirectory}/87-podman.conflist`, "{}");
    const { stdout } = await place.installList(stockList);
    expect(stdout).toContain("warning: ");
    expect(stdout).toContain("05-other.conf sorts before 10-flannel.conflist");
    expect(stdout).not.toContain("podman");
  });
});

await describeWith(["executable"], "install-cni refuses", () => {
  const refused: readonly (readonly [claim: string, text: string, wanted: string])[] = [
    ["no JSON", "{ cni", "it is not JSON"],
    ["an empty file", "", "it is not JSON"],
    ["one plugin in place of a list", '{"name":"cbr0","type":"flannel"}', 'it has no "plugins"'],
    ["a plugin that is not there", '{"name":"cbr0","plugins":[{"type":"calico"}]}', 'it needs "calico", not there in'],
    [
      "a delegate that is not there",
      '{"name":"cbr0","plugins":[{"type":"flannel","delegate":{"type":"macvlan"},"ipam":{"type":"dhcp"}}]}',
      'it needs "macvlan", "dhcp", not there in',
    ],
  ];

  test.each(refused)("a list that is %s, before anything is changed", async (_claim, text, wanted) => {
    await using place = await createInstallPlace();
    await place.directory.write("bin/flannel", "#!/bin/sh\n", 0o755);
    await place.directory.write("net.d/10-flannel.conflist", "theirs");
    const before = await place.listing();
    for (const part of [[], ["--only=plugins"], ["--only=conflist"]]) {
      const { stdout, stderr } = await place.installList(text, part, { exitCode: 1 });
      expect(stdout).toBe("");
      expect(stderr).toContain("Cannot install the configuration list");
      expect(stderr).toContain(wanted);
      expect(await place.listing()).toEqual(before);
    }
  });

  test.each(refused)("a list that is %s, without making the directories", async (_claim, text) => {
    await using place = await createInstallPlace();
    await place.installList(text, [], { exitCode: 1 });
    expect([place.binDirectory, place.netDirectory].filter((path) => existsSync(path))).toEqual([]);
  });

  test("the usual list where there is none, with the option that names another", async () => {
    await using place = await createInstallPlace();
    const words = [executablePath, "install-cni", "--bin-dir", place.binDirectory, "--net-dir", place.netDirectory];
    const { stderr } = await runCommand(words, { exitCode: 1 });
    expect(stderr).toContain("/etc/kube-flannel/cni-conf.json: no such file; --conflist FILE names another\n");
  });

  test("a list that is missing, a node that lacks something, a directory with a plugin's name, and changes nothing", async () => {
    await using place = await createInstallPlace();
    await mkdir(place.plugin("bridge"), { recursive: true });
    const before = await place.listing();
    const missing = await place.install(["--conflist", place.directory.join("nowhere")], { exitCode: 1 });
    expect(missing.stderr).toContain("nowhere: no such file");
    const bare = await place.directory.directory("musl/etc");
    const node = await place.installList(stockList, ["--host-root", bare.slice(0, -4)], { exitCode: 1 });
    expect(node.stderr).toContain("Cannot install on this node: the node (of unknown kind) has no /lib");
    const taken = await place.installList(stockList, [], { exitCode: 1 });
    expect(taken.stderr).toContain('Cannot install "bridge": something that is no file has the name');
    expect(await place.listing()).toEqual(before);
  });

  test("a directory of configurations that is a file or read-only, before the plugins are put", async () => {
    await using place = await createInstallPlace();
    await place.directory.write("net.d", "");
    const { stderr } = await place.installList(stockList, [], { exitCode: 1 });
    expect(stderr).toContain(`Cannot install into ${place.netDirectory}: ${place.netDirectory} is no directory`);
    const below = await place.installList(stockList, [`--net-dir=${place.netDirectory}/deep/er`], { exitCode: 1 });
    expect(below.stderr).toContain(`${place.netDirectory} is no directory`);
    const sealed = await place.installList(stockList, ["--net-dir=/proc/sys/cni"], { exitCode: 1 });
    expect(sealed.stderr).toContain("Cannot install into /proc/sys/cni: /proc/sys cannot be written to");
    expect(await place.names()).toEqual([]);
  });

  test("an unknown option, exit code 2", async () => {
    await using place = await createInstallPlace();
    const { stderr } = await place.install(["--force"], { exitCode: 2 });
    expect(stderr).toBe('tartan install-cni: unknown option "--force"\ntartan install-cni --help prints its options\n');
  });
});

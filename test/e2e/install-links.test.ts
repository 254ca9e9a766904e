import { expect, test } from "bun:test";
import { chmod, mkdir, symlink } from "node:fs/promises";

import { runCommand } from "../helpers/command.ts";
import { createInstallPlace, expectInstalled, type InstallPlace, stockList } from "../helpers/install-place.ts";
import { describeWith } from "../helpers/require.ts";

/** What `bridge` leads to, after an installation. */
async function readBridge(place: InstallPlace): Promise<string> {
  return (await runCommand(["readlink", place.plugin("bridge")])).stdout.trim();
}

async function createPlaceWithLink(target: string): Promise<InstallPlace> {
  const place = await createInstallPlace();
  await mkdir(place.binDirectory);
  await symlink(target, place.plugin("bridge"));
  return place;
}

await describeWith(["executable"], "install-cni beside links of other packages", () => {
  test("counts a link that leads where nothing of the node is seen as somebody's program", async () => {
    for (const target of ["/usr/lib/cni-tartan-test/bridge", "../../elsewhere/bridge"]) {
      await using place = await createPlaceWithLink(target);
      const { stdout } = await place.installList(stockList);
      expect(stdout).toContain("--replace bridge takes over");
      await place.installList(stockList, ["--only=conflist"]);
      expect(await readBridge(place)).toBe(target);
    }
  });

  test("as in the init container, which sees the node's usr, follows a link into that", async () => {
    await using place = await createPlaceWithLink("/usr/lib/cni-tartan-test/bridge");
    await place.directory.write("host/usr/libexec/cni-tartan-test/bridge", "#!/bin/sh\n", 0o755);
    await mkdir(place.directory.join("host/usr/lib"));
    // A link of the node, which leads to a place of the node.
    await symlink("/usr/libexec/cni-tartan-test", place.directory.join("host/usr/lib/cni-tartan-test"));
    const host = ["--host-root", `${place.directory.join("host")}/`];
    const { stdout } = await place.installList(stockList, ["--only=plugins", ...host]);
    expect(stdout).toContain("left to somebody else");
    expect(await readBridge(place)).toBe("/usr/lib/cni-tartan-test/bridge");
    await chmod(place.directory.join("host/usr/libexec/cni-tartan-test/bridge"), 0o644);
    const taken = await place.installList(stockList, host);
    expect(taken.stdout).toContain(
      "bridge leads to /usr/libexec/cni-tartan-test/bridge, which is not executable: it is kept as",
    );
    await expectInstalled(place);
    await place.install(["--uninstall"]);
    expect(await readBridge(place)).toBe("/usr/lib/cni-tartan-test/bridge");
    // /opt is not seen there.
    await runCommand(["ln", "-sfn", "/opt/others/bridge", place.plugin("bridge")]);
    expect((await place.installList(stockList, host)).stdout).toContain("left to somebody else");
  });

  test.each([
    ["a link that leads nowhere", "absent", "leads to "],
    ["a link to itself", "bridge", "is one of a loop of links"],
    ["a link to a directory", ".", "which is no file"],
  ])("takes the name from %s, and puts that back", async (_claim, target, reason) => {
    await using place = await createPlaceWithLink(target);
    const { stdout } = await place.installList(stockList);
    expect(stdout).toMatch(new RegExp(`^bridge .*${reason}.*: it is kept as`, "m"));
    await expectInstalled(place);
    await place.install(["--uninstall"]);
    expect(await place.names()).toEqual([`bin/bridge -> ${target}`]);
  });

  test("takes the name from a file that nobody may execute, and puts that back", async () => {
    await using place = await createInstallPlace();
    await place.directory.write("bin/bridge", "#!/bin/sh\n", 0o644);
    expect((await place.installList(stockList)).stdout).toContain("bridge is not executable: it is kept as");
    await expectInstalled(place);
    await place.install(["--uninstall"]);
    expect(await place.names()).toEqual(["bin/bridge"]);
  });

  test("says of a plugin that is not ours why it cannot be executed, and changes nothing", async () => {
    await using place = await createInstallPlace();
    await mkdir(place.binDirectory);
    await symlink("gone", place.plugin("macvlan"));
    const list = '{"name":"cbr0","plugins":[{"type":"macvlan"},{"type":"calico"}]}';
    const before = await place.listing();
    const { stderr } = await place.installList(list, [], { exitCode: 1 });
    expect(stderr).toContain(`it needs "calico", not there in ${place.binDirectory} and not part of tartan; and`);
    expect(stderr).toContain(
      `"macvlan", but ${place.plugin("macvlan")} leads to ${place.plugin("gone")}, which is not`,
    );
    expect(await place.listing()).toEqual(before);
  });

  test("knows its own absolute links by a directory that is given with a slash at its end", async () => {
    await using place = await createInstallPlace();
    await place.installList(stockList);
    await runCommand(["ln", "-sfn", place.plugin("tartan"), place.plugin("bridge")]);
    await place.installList(stockList, ["--bin-dir", `${place.binDirectory}/`]);
    expect(await readBridge(place)).toBe("tartan");
  });
});

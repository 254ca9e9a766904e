import { expect, test } from "bun:test";
import { appendFile, copyFile, readFile, rm, symlink, writeFile } from "node:fs/promises";

import { runCommand } from "../helpers/command.ts";
import { executablePath } from "../helpers/executable.ts";
import {
  createInstallPlace,
  expectInstalled,
  type InstallPlace,
  sameBytes,
  stockList,
} from "../helpers/install-place.ts";
import { describeWith } from "../helpers/require.ts";

await describeWith(["executable"], "install-cni beside other plugins", () => {
  test("leaves those it was not told to replace, and says so", async () => {
    await using place = await createInstallPlace();
    await place.directory.write("bin/bridge", "#!/bin/sh\necho theirs\n", 0o755);
    await place.directory.write("bin/tuning", "#!/bin/sh\n", 0o755);
    const { stdout } = await place.installList(stockList);
    expect(stdout).toContain("left to somebody else");
    expect(stdout).toContain("--replace bridge takes over");
    expect((await runCommand([place.plugin("bridge")])).stdout).toBe("theirs\n");
    await place.installList(stockList, ["--replace", "bridge"]);
    await expectInstalled(place);
    await place.install(["--uninstall"]);
    expect(await place.names()).toEqual(["bin/bridge", "bin/tuning"]);
    expect((await runCommand([place.plugin("bridge")])).stdout).toBe("theirs\n");
  });

  test("--uninstall takes out exactly what was put in", async () => {
    await using place = await createInstallPlace();
    await place.installList(stockList);
    await writeFile(`${place.netDirectory}/99-loopback.conf`, "{}");
    const { stdout } = await place.install(["--uninstall"]);
    expect(stdout).toContain("removed from");
    expect(await place.names()).toEqual(["net.d/99-loopback.conf"]);
    const again = await place.install(["--uninstall"]);
    expect(again.stdout).toContain("nothing of ours");
  });

  test("--uninstall by the installed executable itself leaves nothing, and none where nothing is", async () => {
    await using place = await createInstallPlace();
    expect((await place.install(["--uninstall"])).stdout).toBe("");
    await place.installList(stockList);
    await place.install(["--uninstall"], { executable: place.plugin("tartan") });
    expect(await place.names()).toEqual([]);
  });

  test("--uninstall puts back upstream's flannel, which an installation had replaced", async () => {
    await using place = await createInstallPlace();
    await place.directory.write("bin/flannel", "#!/bin/sh\necho upstream\n", 0o755);
    await place.installList(stockList);
    await place.installList(stockList);
    await expectInstalled(place);
    await place.install(["--uninstall"]);
    expect(await place.names()).toEqual(["bin/flannel"]);
    expect((await runCommand([place.plugin("flannel")])).stdout).toBe("upstream\n");
  });

  test("--uninstall after the move back to upstream leaves its plugin and the list it uses", async () => {
    await using place = await createInstallPlace();
    await place.directory.write("bin/flannel", "#!/bin/sh\necho older\n", 0o755);
    await place.installList(stockList);
    // What upstream's two init containers do.
    await runCommand(["cp", "-f", "/bin/true", place.plugin("flannel")]);
    const { stdout } = await place.install(["--uninstall"]);
    expect(stdout).toContain("somebody else's");
    expect(await place.names()).toEqual(["bin/flannel", "net.d/10-flannel.conflist"]);
    expect(await sameBytes(place.plugin("flannel"), "/bin/true")).toBe(true);
  });
});

await describeWith(["executable", "root"], "tartan uninstall as README.md has it", () => {
  test("by the installed executable, without options, leaves none of the node's files", async () => {
    await using place = await createInstallPlace();
    const list = await place.directory.write("cni-conf.json", stockList);
    const script = `
      for each in /opt /etc /run /var/lib; do mount -t tmpfs tmpfs "$each"; done
      mkdir -p /run/flannel /var/lib/tartan && echo FLANNEL_MTU=1450 > /run/flannel/subnet.env
      echo {} > /var/lib/tartan/kube-nodes
      "$1" install-cni --conflist "$2" && ls -A /opt/cni/bin /etc/cni/net.d >&2
      /opt/cni/bin/tartan uninstall
      find /opt /etc /run /var/lib ! -type d >&2`;
    const words = ["unshare", "--mount", "--net", "sh", "-ec", script, "sh", executablePath, list];
    const { stdout, stderr } = await runCommand(words);
    expect(stderr).toBe(
      "/etc/cni/net.d:\n.10-flannel.conflist.tartan-own\n10-flannel.conflist\n\n" +
        "/opt/cni/bin:\nbridge\nflannel\nhost-local\nloopback\nportmap\ntartan\n",
    );
    for (const wanted of ["removed /etc/cni/net.d/10-flannel.conflist", "removed /run/flannel/subnet.env"])
      expect(stdout).toContain(wanted);
  });
});

const otherList = JSON.stringify({ name: "theirs", plugins: [{ type: "flannel" }, { type: "portmap" }] });
const editedList = JSON.stringify({ name: "edited", plugins: [{ type: "flannel" }] });

/** With a list that the node had before. */
async function createPlaceWithList(text: string): Promise<InstallPlace> {
  const place = await createInstallPlace();
  await place.directory.write("net.d/10-flannel.conflist", text);
  return place;
}

function readList(place: InstallPlace): Promise<string> {
  return readFile(listPath(place), "utf8");
}

function listPath(place: InstallPlace): string {
  return `${place.netDirectory}/10-flannel.conflist`;
}

await describeWith(["executable"], "the configuration list of somebody else", () => {
  test("is kept under a name that no runtime reads, and put back by --uninstall, whatever we had there since", async () => {
    await using place = await createPlaceWithList(otherList);
    const { stdout } = await place.installList(stockList);
    expect(stdout).toContain("is kept as .10-flannel.conflist.tartan-saved");
    expect(await readList(place)).toBe(stockList);
    await place.installList(stockList);
    await place.installList(editedList);
    expect(await readList(place)).toBe(editedList);
    const { stdout: told } = await place.install(["--uninstall"]);
    expect(told).toContain(`put back as before: ${listPath(place)}`);
    expect(await readList(place)).toBe(otherList);
    expect(await place.names()).toEqual(["net.d/10-flannel.conflist"]);
    await place.install(["--uninstall"]);
    expect(await readList(place)).toBe(otherList);
  });

  test("is put back as the link that it was", async () => {
    await using place = await createInstallPlace();
    await place.directory.write("list", otherList);
    await place.directory.directory("net.d");
    await symlink("../list", listPath(place));
    await place.installList(stockList);
    await place.install(["--uninstall"]);
    expect(await place.names()).toEqual(["net.d/10-flannel.conflist -> ../list"]);
    expect(await readFile(place.directory.join("list"), "utf8")).toBe(otherList);
  });

  test("stays when it was the same before, as after flannel with the ConfigMap that the cluster has", async () => {
    await using place = await createPlaceWithList(stockList);
    await place.directory.write("bin/flannel", "#!/bin/sh\necho upstream\n", 0o755);
    await place.installList(stockList);
    await place.installList(stockList);
    const { stdout } = await place.install(["--uninstall"]);
    expect(stdout).toContain("it stays");
    expect(await readList(place)).toBe(stockList);
    expect(await place.names()).toEqual(["bin/flannel", "net.d/10-flannel.conflist"]);
  });

  test("stays when an administrator has edited ours, and what we had replaced stays beside it", async () => {
    await using place = await createPlaceWithList(otherList);
    await place.installList(stockList);
    await appendFile(listPath(place), "\n");
    const { stdout } = await place.install(["--uninstall"]);
    expect(stdout).toContain(`it stays; what it replaced is ${place.netDirectory}/.10-flannel.conflist.tartan-saved`);
    expect(await readList(place)).toBe(`${stockList}\n`);
    expect(await place.names()).toEqual(["net.d/.10-flannel.conflist.tartan-saved", "net.d/10-flannel.conflist"]);
  });

  test("survives the move from flannel, back, and to us again, with the last that was flannel's", async () => {
    await using place = await createPlaceWithList(otherList);
    await copyFile("/bin/true", await place.directory.write("bin/flannel", "", 0o755));
    await place.installList(stockList);
    // What upstream's two init containers do.
    await runCommand(["cp", "-f", "/bin/true", place.plugin("flannel")]);
    await writeFile(listPath(place), editedList);
    await place.installList(stockList);
    await place.install(["--uninstall"]);
    expect(await readList(place)).toBe(editedList);
    expect(await sameBytes(place.plugin("flannel"), "/bin/true")).toBe(true);
    expect(await place.names()).toEqual(["bin/flannel", "net.d/10-flannel.conflist"]);
  });

  test("stays after the move back, with nothing of ours beside it", async () => {
    await using place = await createPlaceWithList(otherList);
    await place.installList(stockList);
    await runCommand(["cp", "-f", "/bin/true", place.plugin("flannel")]);
    await writeFile(listPath(place), editedList);
    await place.install(["--uninstall"]);
    expect(await place.names()).toEqual(["bin/flannel", "net.d/10-flannel.conflist"]);
    expect(await readList(place)).toBe(editedList);
  });

  test("is told from ours also where an installation was killed between two names", async () => {
    await using place = await createPlaceWithList(otherList);
    await place.installList(stockList);
    const record = `${place.netDirectory}/.10-flannel.conflist.tartan-own`;
    // The list has its name, and its record not yet.
    await runCommand(["mv", record, `${record}.tartan-new`]);
    await place.installList(stockList);
    expect(await readFile(record, "utf8")).toBe(stockList);
    // The record is written, and the list not yet.
    await writeFile(`${record}.tartan-new`, editedList);
    await writeFile(`${place.netDirectory}/.10-flannel.conflist.tartan-new`, "half");
    await place.install(["--uninstall"]);
    expect(await readList(place)).toBe(otherList);
    expect(await place.names()).toEqual(["net.d/10-flannel.conflist"]);
    await rm(listPath(place));
    await place.install(["--uninstall"]);
    expect(await place.names()).toEqual([]);
  });
});

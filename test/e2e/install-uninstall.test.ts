import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";

import { runCommand } from "../helpers/command.ts";
import { createInstallPlace, expectInstalled, sameBytes, stockList } from "../helpers/install-place.ts";
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

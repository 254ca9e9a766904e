import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";

import { runCommand } from "../helpers/command.ts";
import { executablePath } from "../helpers/executable.ts";
import {
  createInstallPlace,
  expectInstalled,
  installedNames,
  sameBytes,
  stockList,
  writeOtherRelease,
} from "../helpers/install-place.ts";
import { describeWith } from "../helpers/require.ts";

function stillGoing(work: Promise<unknown>): Promise<boolean> {
  return Promise.race([work.then(() => false), Bun.sleep(1).then(() => true)]);
}

await describeWith(["executable", "root"], "install-cni while plugins run", () => {
  test("replaces an executable that is being executed, and no name is ever missing or broken", async () => {
    await using place = await createInstallPlace();
    await place.installList(stockList);
    const other = place.directory.join("other");
    await writeOtherRelease(other);
    // Waits for its configuration as long as the pipe is open.
    await using running = Bun.spawn([place.plugin("flannel")], {
      stdin: "pipe",
      stdout: "pipe",
      env: { CNI_COMMAND: "DEL", CNI_CONTAINERID: "c1", CNI_IFNAME: "eth0", CNI_PATH: place.binDirectory },
    });
    for (const executable of [other, executablePath, other]) {
      const upgraded = place.install(["--conflist", place.directory.join("cni-conf.json")], { executable });
      while (await stillGoing(upgraded)) await expectInstalled(place);
      await upgraded;
      expect(await sameBytes(place.plugin("tartan"), executable)).toBe(true);
      expect(await sameBytes(place.plugin("flannel"), executable)).toBe(true);
    }
    expect(await place.names()).toEqual(installedNames);
    const exe = await runCommand(["readlink", `/proc/${running.pid}/exe`]);
    expect(exe.stdout).toContain("(deleted)");
    await running.stdin.write(JSON.stringify({ cniVersion: "1.0.0", name: "cbr0", type: "flannel" }));
    await running.stdin.end();
    expect(await running.exited).toBe(0);
  });

  test("killed at any moment leaves plugins that work, and the next installation cleans up", async () => {
    await using place = await createInstallPlace();
    await place.installList(stockList);
    const other = place.directory.join("other");
    await writeOtherRelease(other);
    const places = ["--bin-dir", place.binDirectory, "--net-dir", place.netDirectory];
    const words = ["install-cni", ...places, "--conflist", place.directory.join("cni-conf.json")];
    let killed = 0;
    for (let round = 0; round < 24; round++) {
      const executable = round % 2 === 0 ? other : executablePath;
      const child = Bun.spawn([executable, ...words], { stdout: "ignore", stderr: "ignore" });
      await Bun.sleep(20 + round * 12);
      child.kill("SIGKILL");
      if ((await child.exited) !== 0) killed++;
      await expectInstalled(place);
    }
    expect(killed).toBeGreaterThan(3);
    await place.installList(stockList);
    expect(await place.names()).toEqual(installedNames);
    expect(await sameBytes(place.plugin("flannel"), executablePath)).toBe(true);
  });

  test("on a full disk leaves everything as it was", async () => {
    await using place = await createInstallPlace();
    await place.directory.write("cni-conf.json", stockList);
    await mkdir(place.binDirectory);
    const script = `
      mount -t tmpfs -o size=150m tmpfs "$1" && printf old > "$1/flannel"
      if "$2" install-cni --bin-dir "$1" --net-dir "$3" --conflist "$4"; then exit 9; fi
      ls -A "$1"; cat "$1/flannel"; ls -A "$3" 2>/dev/null; true`;
    const words = [place.binDirectory, executablePath, place.netDirectory, place.directory.join("cni-conf.json")];
    const { stdout, stderr } = await runCommand(["unshare", "--mount", "sh", "-c", script, "sh", ...words]);
    expect(stderr).toMatch(/Cannot put tartan, .* into \S+\/bin: .*ENOSPC/);
    expect(stdout).toBe("flannel\nold");
  });

  test("says which file cannot be kept, and leaves nothing half done beside it", async () => {
    await using place = await createInstallPlace();
    await place.directory.write("cni-conf.json", stockList);
    await place.directory.write("bin/flannel", "old", 0o755);
    // A mount can be given no second name.
    const script = `
      mount --bind "$1/flannel" "$1/flannel"
      if "$2" install-cni --bin-dir "$1" --net-dir "$3" --conflist "$4"; then exit 9; fi
      cat "$1/flannel"; ls -A "$1" | grep tartan-new; ls -A "$3" 2>/dev/null; true`;
    const words = [place.binDirectory, executablePath, place.netDirectory, place.directory.join("cni-conf.json")];
    const { stdout, stderr } = await runCommand(["unshare", "--mount", "sh", "-c", script, "sh", ...words]);
    expect(stderr).toMatch(/Cannot put tartan, flannel, .* into .*\.flannel\.tartan-saved: .*EXDEV/);
    expect(stdout).toBe("old");
  });
});

await describeWith(["executable", "root", "tool:mkfs.xfs"], "install-cni on a file system that shares blocks", () => {
  test("takes the space of one executable, and two files all the same", async () => {
    await using place = await createInstallPlace();
    await place.directory.write("cni-conf.json", stockList);
    await mkdir(place.binDirectory);
    const script = `
      truncate -s 400M "$5" && mkfs.xfs -q "$5" && mount -o loop "$5" "$1" || exit 9
      before=$(stat -f -c %f "$1")
      "$2" install-cni --bin-dir "$1" --net-dir "$3" --conflist "$4" >&2
      sync -f "$1"
      echo $(( (before - $(stat -f -c %f "$1")) * $(stat -f -c %S "$1") ))
      cp -f /bin/true "$1/flannel" && cmp "$1/tartan" "$2" && echo apart
      umount "$1"`;
    const words = [place.binDirectory, executablePath, place.netDirectory, place.directory.join("cni-conf.json")];
    const image = place.directory.join("disk");
    const { stdout } = await runCommand(["unshare", "--mount", "sh", "-c", script, "sh", ...words, image]);
    const [space = "", apart] = stdout.split("\n");
    expect(Number(space)).toBeLessThan(130_000_000);
    expect(Number(space)).toBeGreaterThan(100_000_000);
    expect(apart).toBe("apart");
  });
});

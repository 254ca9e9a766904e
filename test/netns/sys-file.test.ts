import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { runCommand } from "../helpers/command.ts";
import { describeWith } from "../helpers/require.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../helpers/temp.ts";

/**
 * Runs calls of src/sys/ in a mount namespace of their own, after shell commands that mount something in it, and returns
 * for each what it gave or the error's text. Root writes whatever a mode forbids: only a mount stops it.
 */
async function inMounts(mounts: string, directory: TemporaryDirectory, calls: readonly string[]): Promise<unknown> {
  const modules = ["file", "directory", "lock", "sysctl"].map((name) => {
    return `...await import(${JSON.stringify(join(import.meta.dir, `../../src/sys/${name}.ts`))})`;
  });
  const script = `
    const sys = { ${modules.join(", ")} };
    const at = (name) => ${JSON.stringify(directory.path)} + "/" + name;
    function attempt(call) {
      try { return call() ?? "done"; } catch (error) { return error.message; }
    }
    const { readdirSync, readFileSync } = await import("node:fs");
    const descriptors = readdirSync("/proc/self/fd").length;
    const results = [${calls.map((call) => `attempt(() => ${call})`).join(", ")}];
    const leaked = readdirSync("/proc/self/fd").length - descriptors;
    console.log(JSON.stringify({ results, leaked }));`;
  const shell = `set -e; ${mounts}; exec "$1" -e "$2"`;
  const unshare = ["unshare", "--mount", "--propagation", "private"];
  const { stdout } = await runCommand([...unshare, "sh", "-c", shell, directory.path, process.execPath, script]);
  // What makes the name of a temporary file its own differs from call to call.
  const answer: unknown = JSON.parse(stdout.replaceAll(/(\.tartan-)[\w-]+/g, "$1*"));
  return answer;
}

/** Makes the test's directory one that nobody can write to. */
const readOnly = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"';
/** Puts a file system of two pages of data in its place. */
const tiny = 'mount -t tmpfs -o size=8k,mode=755 tmpfs "$0"; printf kept >"$0/there"';

await describeWith(["root", "tool:unshare", "tool:mount"], "sys/file on file systems that refuse", () => {
  test("replaceFile() and claimFile() leave no temporary file when the directory is read-only", async () => {
    await using directory = await createTemporaryDirectory();
    await directory.write("there", "kept", 0o600);
    const answer = await inMounts(readOnly, directory, [
      `sys.replaceFile(at("there"), "new", 0o644)`,
      `sys.replaceFile(at("new"), "new", 0o644)`,
      `sys.claimFile(at("new"), "new", 0o644)`,
      `sys.claimFile(at("there"), "new", 0o644)`,
    ]);
    const [there, fresh] = ["there", "new"].map(
      (name) => `Cannot make a temporary file for ${directory.path}/${name}: read-only file system (EROFS)`,
    );
    expect(answer).toEqual({
      results: [there, fresh, fresh, there],
      leaked: 0,
    });
    expect(readdirSync(directory.path)).toEqual(["there"]);
    expect(readFileSync(directory.join("there"), "utf8")).toBe("kept");
  });

  test("what only makes sure of something works where it is there already, and names the file where it is not", async () => {
    await using directory = await createTemporaryDirectory();
    await directory.write("there/lock", "");
    const answer = await inMounts(readOnly, directory, [
      `sys.ensureDirectory(at("there"), 0o755)`,
      `sys.ensureDirectory(at("new/below"), 0o755)`,
      `sys.ensureFile(at("there/lock"), 0o644)[Symbol.dispose]()`,
      `sys.ensureFile(at("new"), 0o644)`,
      `sys.lockFile(at("there/lock"), 0o644)[Symbol.dispose]()`,
      `sys.lockFile(at("new"), 0o644)`,
      `sys.findText(at("there/lock"))`,
      `sys.listDirectory(at("there"))`,
      `sys.overwriteText(at("there/lock"), "text")`,
      `sys.removeFile(at("there/lock"))`,
      `sys.removeFile(at("new"))`,
    ]);
    const state = "read-only file system (EROFS)";
    expect(answer).toEqual({
      results: [
        "done",
        `Cannot make directory ${directory.path}/new: ${state}`,
        "done",
        `Cannot make ${directory.path}/new: ${state}`,
        "done",
        `Cannot make ${directory.path}/new: ${state}`,
        "",
        ["lock"],
        `Cannot open ${directory.path}/there/lock: ${state}`,
        `Cannot remove ${directory.path}/there/lock: ${state}`,
        // The kernel does not look for the name before it refuses.
        `Cannot remove ${directory.path}/new: ${state}`,
      ],
      leaked: 0,
    });
  });

  test("replaceFile() keeps the old file and claimFile() claims nothing when the file system is full", async () => {
    await using directory = await createTemporaryDirectory();
    const answer = await inMounts(tiny, directory, [
      `sys.replaceFile(at("there"), "x".repeat(100_000), 0o644)`,
      `sys.claimFile(at("new"), "x".repeat(100_000), 0o644)`,
      `sys.listDirectory(at(""))`,
      `sys.readText(at("there"))`,
      // Nothing of the refused ones takes room any more.
      `sys.claimFile(at("new"), "x".repeat(4000), 0o644)`,
      `sys.listDirectory(at("")).toSorted()`,
    ]);
    const [there, fresh] = ["there", "new"].map(
      (name) => `Cannot write ${directory.path}/${name}: no space left on device (ENOSPC)`,
    );
    expect(answer).toEqual({
      results: [there, fresh, ["there"], "kept", true, ["new", "there"]],
      leaked: 0,
    });
  });

  test("ensureSysctl() works where /proc/sys is read-only and already right, and says when it is not", async () => {
    await using directory = await createTemporaryDirectory();
    const key = "net/ipv4/conf/lo/forwarding";
    const value = readFileSync(`/proc/sys/${key}`, "utf8").trim();
    const mount = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys";
    const other = value === "1" ? "0" : "1";
    const answer = await inMounts(mount, directory, [
      `sys.ensureSysctl(${JSON.stringify(key)}, ${JSON.stringify(value)})`,
      `sys.ensureSysctl(${JSON.stringify(key)}, ${JSON.stringify(other)})`,
    ]);
    expect(answer).toEqual({
      results: ["done", `Cannot open /proc/sys/${key}: read-only file system (EROFS)`],
      leaked: 0,
    });
    expect(readFileSync(`/proc/sys/${key}`, "utf8").trim()).toBe(value);
  });
});

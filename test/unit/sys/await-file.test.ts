import { expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { awaitFile } from "../../../src/sys/await-file.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

/** Runs a shell script beside a wait for `path`, which blocks this process. Returns the answer and how long it took. */
async function awaitBeside(script: string, directory: string, path: string): Promise<readonly [boolean, number]> {
  const child = Bun.spawn(["sh", "-e", "-c", `sleep 0.1\n${script}`], { cwd: directory, stdout: "ignore" });
  const started = performance.now();
  const found = awaitFile(join(directory, path), 5000);
  const took = performance.now() - started;
  expect(await child.exited).toBe(0);
  return [found, took];
}

test("awaitFile() answers at once when the file is there", async () => {
  await using directory = await createTemporaryDirectory();
  const path = await directory.write("subnet.env", "");
  const started = performance.now();
  expect(awaitFile(path, 5000)).toBe(true);
  expect(performance.now() - started).toBeLessThan(50);
});

test.each([
  ["is made", "touch subnet.env", "subnet.env"],
  ["is renamed into place", "touch new; mv new subnet.env", "subnet.env"],
  [
    "comes with its directories",
    "mkdir run; sleep 0.05; mkdir run/flannel; sleep 0.05; touch run/flannel/subnet.env",
    "run/flannel/subnet.env",
  ],
  [
    "comes with its directories at once",
    "mkdir -p run/flannel && touch run/flannel/subnet.env",
    "run/flannel/subnet.env",
  ],
  [
    "comes in a directory that is renamed",
    "mkdir -p new/flannel; touch new/flannel/subnet.env; mv new run",
    "run/flannel/subnet.env",
  ],
])("awaitFile() ends when the file %s", async (_claim, script, path) => {
  await using directory = await createTemporaryDirectory();
  const [found, took] = await awaitBeside(script, directory.path, path);
  expect(found).toBe(true);
  expect(took).toBeGreaterThan(50);
  expect(took).toBeLessThan(2000);
});

test("awaitFile() ends when the file's directory was removed and made again", async () => {
  await using directory = await createTemporaryDirectory();
  await mkdir(directory.join("flannel"));
  const script = "rmdir flannel; sleep 0.05; mkdir flannel; sleep 0.05; touch flannel/subnet.env";
  expect(await awaitBeside(script, directory.path, "flannel/subnet.env")).toEqual([true, expect.any(Number)]);
});

test("awaitFile() gives up when the time is over, however much happens beside", async () => {
  await using directory = await createTemporaryDirectory();
  const busy = Bun.spawn(["sh", "-c", "while :; do touch a; rm a; done"], { cwd: directory.path });
  try {
    const started = performance.now();
    expect(awaitFile(directory.join("subnet.env"), 300)).toBe(false);
    const took = performance.now() - started;
    expect(took).toBeGreaterThanOrEqual(299);
    expect(took).toBeLessThan(1500);
  } finally {
    busy.kill("SIGKILL");
    await busy.exited;
  }
});

test("awaitFile() says where it cannot look, and leaves no descriptor open", async () => {
  await using directory = await createTemporaryDirectory();
  const path = await directory.write("file", "");
  const before = inotifyDescriptors();
  expect(() => awaitFile(`${path}/subnet.env`, 100)).toThrow("Cannot watch directory");
  expect(awaitFile(directory.join("subnet.env"), 1)).toBe(false);
  expect(inotifyDescriptors().filter((name) => !before.includes(name))).toEqual([]);
});

/** Other descriptors come and go with the runtime, and those of other tests are theirs. */
function inotifyDescriptors(): readonly string[] {
  return readdirSync("/proc/self/fd").filter((name) => findLink(`/proc/self/fd/${name}`).includes("inotify"));
}

/** The directory's own descriptor has gone when its entry is read. */
function findLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

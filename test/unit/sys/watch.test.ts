import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { replaceFile } from "../../../src/sys/file.ts";
import { DirectoryWatcher, inotify, type WatchEvent } from "../../../src/sys/watch.ts";
import { runCommand } from "../../helpers/command.ts";
import { eventually } from "../../helpers/eventually.ts";
import { createTemporaryDirectory } from "../../helpers/temp.ts";

const eventBits = Object.entries(inotify).filter(([name]) => name !== "IN_ONLYDIR");

/** `IN_CREATE name`; IN_ISDIR, which the kernel adds to events about directories, is left out. */
function describeEvent({ mask, name }: WatchEvent): string {
  const bits = eventBits.filter(([, bit]) => (mask & bit) !== 0).map(([bitName]) => bitName);
  return `${bits.join("|")} ${name}`.trimEnd();
}

const all = eventBits.reduce((mask, [, bit]) => mask | bit, 0);

/** What the watcher tells, until it is what is wanted. */
function told(events: readonly string[], wanted: readonly string[]): Promise<readonly string[]> {
  return eventually(() => Promise.resolve([...events]), wanted);
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

test("DirectoryWatcher tells what happens in a directory, in order and with names", async () => {
  await using directory = await createTemporaryDirectory();
  using watcher = new DirectoryWatcher();
  using watches = new DisposableStack();
  const events: string[] = [];
  watches.use(watcher.add(directory.path, all, (event) => events.push(describeEvent(event))));
  writeFileSync(directory.join("ünïcode"), "text");
  mkdirSync(directory.join("below"));
  renameSync(directory.join("ünïcode"), directory.join("new"));
  unlinkSync(directory.join("new"));
  writeFileSync(directory.join("below/unseen"), "");
  const wanted = [
    "IN_CREATE ünïcode",
    "IN_CLOSE_WRITE ünïcode",
    "IN_CREATE below",
    "IN_MOVED_FROM ünïcode",
    "IN_MOVED_TO new",
    "IN_DELETE new",
  ];
  expect(await told(events, wanted)).toEqual(wanted);
});

test("DirectoryWatcher shows replaceFile() as one event, of a name that has moved in", async () => {
  await using directory = await createTemporaryDirectory();
  using watcher = new DirectoryWatcher();
  using watches = new DisposableStack();
  const events: string[] = [];
  watches.use(watcher.add(directory.path, inotify.IN_MOVED_TO, (event) => events.push(describeEvent(event))));
  replaceFile(directory.join("10.244.1.0-24"), "{}", 0o644);
  replaceFile(directory.join("10.244.2.0-24"), "{}", 0o644);
  const wanted = ["IN_MOVED_TO 10.244.1.0-24", "IN_MOVED_TO 10.244.2.0-24"];
  expect(await told(events, wanted)).toEqual(wanted);
});

test("DirectoryWatcher tells each listener of its own directory, and none after its watch has ended", async () => {
  await using directory = await createTemporaryDirectory();
  const [first, second] = [await directory.directory("first"), await directory.directory("second")];
  using watcher = new DirectoryWatcher();
  using watches = new DisposableStack();
  const events: string[] = [];
  const watch = watcher.add(first, inotify.IN_CREATE, ({ name }) => events.push(`first ${name}`));
  watches.use(watcher.add(second, inotify.IN_CREATE, ({ name }) => events.push(`second ${name}`)));
  writeFileSync(join(first, "a"), "");
  writeFileSync(join(second, "b"), "");
  expect(await told(events, ["first a", "second b"])).toEqual(["first a", "second b"]);
  watch[Symbol.dispose]();
  watch[Symbol.dispose]();
  writeFileSync(join(first, "c"), "");
  writeFileSync(join(second, "d"), "");
  const wanted = ["first a", "second b", "second d"];
  expect(await told(events, wanted)).toEqual(wanted);
});

test("DirectoryWatcher tells that the directory itself has moved or gone", async () => {
  await using directory = await createTemporaryDirectory();
  const path = await directory.directory("watched");
  using watcher = new DirectoryWatcher();
  using watches = new DisposableStack();
  const events: string[] = [];
  const mask = inotify.IN_MOVE_SELF | inotify.IN_DELETE_SELF;
  watches.use(watcher.add(path, mask, (event) => events.push(describeEvent(event))));
  renameSync(path, directory.join("moved"));
  rmSync(directory.join("moved"), { recursive: true });
  const wanted = ["IN_MOVE_SELF", "IN_DELETE_SELF", "IN_IGNORED"];
  expect(await told(events, wanted)).toEqual(wanted);
  // The same path, made anew, is another directory and can be watched again.
  mkdirSync(path);
  watches.use(watcher.add(path, inotify.IN_CREATE, (event) => events.push(describeEvent(event))));
  writeFileSync(join(path, "file"), "");
  expect(await told(events, [...wanted, "IN_CREATE file"])).toEqual([...wanted, "IN_CREATE file"]);
});

test("DirectoryWatcher tells every listener when events were lost, and goes on", async () => {
  await using directory = await createTemporaryDirectory();
  const [busy, quiet] = [await directory.directory("busy"), await directory.directory("quiet")];
  using watcher = new DirectoryWatcher();
  using watches = new DisposableStack();
  const lost: string[] = [];
  const late: string[] = [];
  watches.use(
    watcher.add(busy, inotify.IN_MOVED_TO, ({ mask, name }) => {
      if ((mask & inotify.IN_Q_OVERFLOW) !== 0) lost.push("busy");
      if (name === "late") late.push(name);
    }),
  );
  watches.use(
    watcher.add(quiet, inotify.IN_MOVED_TO, ({ mask }) => {
      if ((mask & inotify.IN_Q_OVERFLOW) !== 0) lost.push("quiet");
    }),
  );
  const room = Number(readFileSync("/proc/sys/fs/inotify/max_queued_events", "utf8"));
  const names = [join(busy, "a"), join(busy, "b")] as const;
  writeFileSync(names[0], "");
  // All in one go: nothing can be read meanwhile.
  for (let count = 0; count <= room; count++)
    renameSync(names[count % 2 === 0 ? 0 : 1], names[count % 2 === 0 ? 1 : 0]);
  expect(await told(lost, ["busy", "quiet"])).toEqual(["busy", "quiet"]);
  renameSync(names[(room + 1) % 2 === 0 ? 0 : 1], join(busy, "late"));
  expect(await told(late, ["late"])).toEqual(["late"]);
});

test("DirectoryWatcher.add() refuses what is no directory", async () => {
  await using directory = await createTemporaryDirectory();
  using watcher = new DirectoryWatcher();
  const missing = directory.join("missing");
  expect(() => watcher.add(missing, all, () => undefined)).toThrow(`Cannot watch directory ${missing}: no such file`);
  const file = await directory.write("file", "");
  expect(() => watcher.add(file, all, () => undefined)).toThrow("not a directory (ENOTDIR)");
  expect(() => watcher.add(`${directory.path}\0`, all, () => undefined)).toThrow("it holds a NUL character");
});

test("DirectoryWatcher leaves no descriptor and no signal handler behind", async () => {
  await using directory = await createTemporaryDirectory();
  const before = { descriptors: descriptors(), handlers: process.listenerCount("SIGIO") };
  for (let count = 0; count < 8; count++) {
    using watcher = new DirectoryWatcher();
    using watches = new DisposableStack();
    watches.use(watcher.add(directory.path, all, () => undefined));
    expect(process.listenerCount("SIGIO")).toBe(before.handlers + 1);
  }
  expect({ descriptors: descriptors(), handlers: process.listenerCount("SIGIO") }).toEqual(before);
});

test("DirectoryWatcher may be disposed of by its listener, with events still to come", async () => {
  await using directory = await createTemporaryDirectory();
  const watcher = new DirectoryWatcher();
  const events: string[] = [];
  watcher.add(directory.path, inotify.IN_CREATE, ({ name }) => {
    events.push(name);
    watcher[Symbol.dispose]();
  });
  for (const name of ["a", "b", "c"]) writeFileSync(directory.join(name), "");
  expect(await told(events, ["a"])).toEqual(["a"]);
  writeFileSync(directory.join("d"), "");
  await Bun.sleep(20);
  expect(events).toEqual(["a"]);
});

test("a process survives the end of its watchers with signals still on their way", async () => {
  await using directory = await createTemporaryDirectory();
  const script = `
    import { writeFileSync, unlinkSync } from "node:fs";
    import { DirectoryWatcher } from ${JSON.stringify(join(import.meta.dir, "../../../src/sys/watch.ts"))};
    for (let round = 0; round < 40; round++) {
      using watcher = new DirectoryWatcher();
  using watches = new DisposableStack();
      watcher.add(${JSON.stringify(directory.path)}, ${inotify.IN_CREATE | inotify.IN_DELETE}, () => undefined);
      writeFileSync(${JSON.stringify(directory.join("file"))}, "");
      unlinkSync(${JSON.stringify(directory.join("file"))});
      if (round % 3 === 0) await Bun.sleep(0);
    }
    console.log("alive");`;
  const { stdout } = await runCommand([process.execPath, "-e", script]);
  expect(stdout).toBe("alive\n");
});

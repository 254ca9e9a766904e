/** The directory of leases with thousands of files. */
import { expect, test } from "bun:test";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";

import { createDirectoryStore, type DirectoryStore } from "../helpers/directory-store.ts";
import { describeState, ignore, leaseText, startSource } from "../helpers/lease-store.ts";
import { waitUntil } from "../helpers/wait-until.ts";

test("start() knows a directory as soon as it returns, and reads 5,000 leases in well under a second", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig('{"Network":"10.0.0.0/8"}');
  writeLeases(store, 5000);
  using source = store.open();
  // Processor time, which others on the machine do not change.
  const before = process.cpuUsage();
  source.start(ignore);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(800);
  expect(describeState(source.state())).toHaveLength(5000);
});

test("state() follows so many files at once that the kernel loses events", async () => {
  await using store = await createDirectoryStore();
  await store.writeConfig('{"Network":"10.0.0.0/8"}');
  await store.writeLease("10.200.0.0-24", leaseText("2.2.2.2"));
  using source = await startSource(store.open());
  const limit = Number(await Bun.file("/proc/sys/fs/inotify/max_queued_events").text());
  // Without a pause for the watcher: it reads only after the queue has run over. Each file makes four events.
  writeLeases(store, 4500);
  expect(4500 * 4).toBeGreaterThan(limit);
  await waitUntil("all are known", () => describeState(source.state()).length === 4501);
  await store.removeLease("10.200.0.0-24");
  await waitUntil("the last event is heard", () => describeState(source.state()).length === 4500);
});

/** Leases with keys from 10.0.0.0-24 on, each by a temporary file and a rename, without giving way to anything else. */
function writeLeases(store: DirectoryStore, count: number): void {
  const directory = `${store.path}/subnets`;
  mkdirSync(directory, { recursive: true });
  for (let index = 0; index < count; index++) {
    const [high, low] = [index >> 8, index & 255];
    const temporary = `${directory}/.writing`;
    writeFileSync(temporary, leaseText(`172.16.${high}.${low}`));
    renameSync(temporary, `${directory}/10.${high}.${low}.0-24`);
  }
}
